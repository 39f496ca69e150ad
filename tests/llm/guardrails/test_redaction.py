"""Streams are redacted as texts are."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.llm.guardrails.pii import CONTEXT, LONGEST
from services.llm.guardrails.redaction import Redaction, redacted
from tests.llm.guardrails.test_pii import FOUND, NEAR_MISSES

FRAGMENTS = [text for text, _ in FOUND] + NEAR_MISSES + [
    " ", ".", ",", ":", "(", ")", "+", "-", "\n", "\u00a0", "@", "x", "1", "version ", "A ", " (", "é", "::", "{", "_",
]  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text("01 -.+@:aA/()'\"", max_size=8), max_size=12).map("".join)


def streamed(text: str, cuts: list[int]) -> tuple[list[str], Redaction]:
    redaction = Redaction()
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    out = [redaction.push(text[start:end]) for start, end in pairwise(places)]
    return [*out, redaction.finish()], redaction


@settings(max_examples=600)
@given(text=texts, cuts=st.lists(st.integers(0, 10_000), max_size=12))
@example(text="call +1 212 555 0123 now", cuts=[6, 9, 13])
@example(text="version 1.2.3.4", cuts=[8, 9, 10, 11])
def test_however_a_text_is_split_the_stream_says_the_same(text: str, cuts: list[int]) -> None:
    whole, counts = redacted(text)
    out, redaction = streamed(text, cuts)
    assert "".join(out) == whole
    assert redaction.counts == counts
    assert redaction.read == len(text)


@settings(max_examples=200)
@given(text=texts)
def test_letter_by_letter_too_and_it_is_known_what_was_hidden(text: str) -> None:
    whole, counts = redacted(text)
    out, redaction = streamed(text, list(range(len(text))))
    assert "".join(out) == whole
    assert len(redaction.hidden) == counts.total()
    assert all(0 <= start < end <= len(text) for start, end in redaction.hidden)
    assert all(end <= start for (_, end), (start, _) in pairwise(redaction.hidden))


@settings(max_examples=50)
@given(
    text=st.text("1 -@a.", min_size=2 * LONGEST, max_size=3 * LONGEST), cuts=st.lists(st.integers(0, 3000), max_size=9)
)
def test_texts_longer_than_the_window_too(text: str, cuts: list[int]) -> None:
    assert "".join(streamed(text, cuts)[0]) == redacted(text)[0]


def test_prose_is_held_back_by_a_word_and_never_more_than_the_window() -> None:
    redaction = Redaction()
    assert redaction.push("This is a quiet") == "This is a"
    assert redaction.push(" film") == " quiet"
    assert redaction.push("\n") == " film\n"
    assert redaction.push('{"title":"Heat","y') == '{"title":"Heat","'
    assert redaction.push('":') == 'y"'
    assert redaction.push("\n") == ":\n"
    sent = sum(len(redaction.push("1")) for _ in range(5 * LONGEST))
    assert 5 * LONGEST - sent == LONGEST
    assert len(redaction._text) <= LONGEST + CONTEXT
