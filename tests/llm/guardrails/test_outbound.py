"""What a caller gets to read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.calls import Completion, Piece, TokenLogprob, Usage
from services.llm.guardrails.finding import Finding
from services.llm.guardrails.outbound import Outbound
from services.llm.guardrails.pii import RULES

TOLD = "Write to bob@example.org or +1 212 555 0123, he liked 1984."
HIDDEN = "Write to [EMAIL] or [PHONE], he liked 1984."
LAST = Piece(finish_reason="stop", usage=Usage(3, 4))


def token(text: str) -> tuple[TokenLogprob, ...]:
    return (TokenLogprob(text, -1.0),)


def test_a_whole_answer_loses_personal_data_and_then_its_logprobs() -> None:
    answer = Completion(TOLD, "stop", Usage(3, 4), token("Write"))
    outbound = Outbound(RULES)
    assert outbound.completion(answer) == Completion(HIDDEN, "stop", Usage(3, 4))
    assert outbound.findings == (Finding("pii.EMAIL"), Finding("pii.PHONE"))
    harmless = replace(answer, text="He liked 1984.")
    assert Outbound(RULES).completion(harmless) == harmless


@given(cuts=st.lists(st.integers(0, len(TOLD)), max_size=20))
def test_a_stream_says_what_the_whole_says_and_ends_with_its_usage(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(TOLD)]
    outbound = Outbound(RULES)
    pieces = [Piece(TOLD[start:end]) for start, end in zip(places, places[1:], strict=False)]
    out = [piece for piece in map(outbound.push, [*pieces, LAST]) if piece is not None]
    assert "".join(piece.text for piece in out) == HIDDEN
    assert [piece.finish_reason for piece in out] == [None] * (len(out) - 1) + ["stop"]
    assert out[-1].usage == Usage(3, 4)
    assert outbound.findings == (Finding("pii.EMAIL"), Finding("pii.PHONE"))


@given(width=st.integers(1, 7))
def test_logprobs_come_with_their_text_and_never_spell_what_was_redacted(width: int) -> None:
    parts = [TOLD[start : start + width] for start in range(0, len(TOLD), width)]
    outbound, sent, told = Outbound(RULES), 0, list[str]()
    for piece in (*(Piece(part, token(part)) for part in parts), LAST):
        out = outbound.push(piece)
        if out is not None:
            told += [found.token for found in out.logprobs]
    for part, start in zip(parts, range(0, len(TOLD), width), strict=True):
        end = start + len(part)
        spelt = any(start < stop and begin < end for begin, stop in ((9, 24), (28, 43)))
        assert (sent < len(told) and told[sent] == part) or spelt
        sent += not spelt
    assert sent == len(told)


def test_a_last_piece_with_text_flushes_what_was_held_back() -> None:
    outbound = Outbound(RULES)
    assert outbound.push(Piece("bob@exam")) is None
    assert outbound.push(Piece("ple.org", finish_reason="length")) == Piece("[EMAIL]", finish_reason="length")


def test_without_rules_pieces_pass_untouched() -> None:
    outbound, piece = Outbound(()), Piece("bob@example.org", token("bob"))
    assert outbound.push(piece) is piece


async def test_what_is_held_back_when_a_stream_breaks_off_does_not_go_out() -> None:
    async def broken() -> AsyncIterator[Piece]:
        yield Piece("Write to bob@example")
        raise ConnectionError

    out = list[str]()
    with pytest.raises(ConnectionError):
        async for piece in Outbound(RULES).pieces(broken()):
            out.append(piece.text)
    assert out == ["Write to"]
