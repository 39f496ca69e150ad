"""Text as it comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.llm.engine.detokenizer import Detokenizer
from tests.llm.engine.tiny import END, tiny


def pieces(text: str, stop: tuple[str, ...] = ()) -> list[str]:
    detokenizer = Detokenizer(tiny().tokenizer, stop)
    found = [detokenizer.add(token) for token in tiny().tokenizer.encode(text)]
    return [*found, detokenizer.finish()]


def test_a_character_is_whole_or_not_there() -> None:
    assert [piece for piece in pieces("aé€😀") if piece] == ["a", "é", "€", "😀"]


def test_half_a_character_at_the_end_becomes_the_sign_for_it() -> None:
    detokenizer = Detokenizer(tiny().tokenizer)
    first = tiny().tokenizer.encode("é")[0]
    assert (detokenizer.add(first), detokenizer.finish()) == ("", "\ufffd")


def test_what_may_begin_a_stop_string_is_held_back_until_it_cannot() -> None:
    assert pieces("a##b", ("###",))[:4] == ["a", "", "", "##b"]


def test_nothing_of_the_stop_string_or_after_it_is_shown() -> None:
    assert "".join(pieces("one STOP two", (" two", "STOP"))) == "one "
    assert "".join(pieces("one STO", ("STOP",))) == "one STO"


def test_control_tokens_have_no_text() -> None:
    assert "".join(pieces(f"a{END}b")) == "ab"


@given(
    text=st.text(alphabet="ab#é", max_size=30),
    stop=st.lists(st.text(alphabet="ab#", min_size=1, max_size=3), max_size=2),
)
def test_the_pieces_are_the_text_up_to_the_first_stop_string(text: str, stop: list[str]) -> None:
    ends = [text.find(string) + len(string) for string in stop if string in text]
    # The string that is complete first stops; of those complete together the one that begins first.
    cut = min((text.find(s) for s in stop if s in text and text.find(s) + len(s) == min(ends)), default=len(text))
    assert "".join(pieces(text, tuple(stop))) == text[:cut]
