"""Answers put together from streams, and told as streams."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.llm.caches.answers import Recorder, pieces, weight
from services.llm.calls import Completion, FinishReason, Piece, TokenLogprob, Usage

FINISHES: tuple[FinishReason, ...] = ("stop", "length")
logprobs = st.lists(st.builds(TokenLogprob, st.text(max_size=3), st.floats(-9, 0)), max_size=3).map(tuple)


@given(
    parts=st.lists(st.tuples(st.text(max_size=9), logprobs), max_size=9),
    reason=st.sampled_from(FINISHES),
)
def test_a_stream_is_kept_and_told_again_as_it_was(
    parts: list[tuple[str, tuple[TokenLogprob, ...]]], reason: FinishReason
) -> None:
    recorder = Recorder()
    for text, tokens in parts:
        recorder.take(Piece(text, tokens))
        assert recorder.completion is None
    recorder.take(Piece(finish_reason=reason, usage=Usage(3, 4)))
    kept = recorder.completion
    assert kept is not None
    assert kept.finish_reason == reason
    assert kept.text == "".join(text for text, _ in parts)
    assert kept.logprobs == tuple(token for _, tokens in parts for token in tokens)
    again = Recorder()
    for piece in pieces(kept):
        again.take(piece)
    assert again.completion == kept


def test_a_stream_that_broke_off_or_was_too_long_is_no_answer() -> None:
    broken, long, unpaid = Recorder(), Recorder(limit=10), Recorder()
    broken.take(Piece("a"))
    unpaid.take(Piece("a", finish_reason="stop"))
    for _ in range(3):
        long.take(Piece("12345"))
    long.take(Piece(finish_reason="stop", usage=Usage()))
    assert [recorder.completion for recorder in (broken, long, unpaid)] == [None, None, None]


def test_an_answer_weighs_its_text_and_its_logprobs() -> None:
    plain = Completion("a" * 1000, "stop", Usage())
    token = TokenLogprob("a", -1.0, (("b", -2.0), ("c", -3.0)))
    assert 2000 < weight(plain) < 3000
    assert weight(Completion("a" * 1000, "stop", Usage(), (token,) * 10)) == weight(plain) + 30 * 256
