"""Server-sent events, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.backends.sse import MAX_EVENT_BYTES, MAX_STREAM_BYTES, Events
from services.runtime.errors import Unavailable

payloads = st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n"), min_size=1))


def fed(stream: bytes, cuts: list[int]) -> list[bytes]:
    events, places = Events(), [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    chunks = [stream[start:end] for start, end in zip(places, places[1:], strict=False)]
    return [payload for chunk in chunks for payload in events.feed(chunk)]


@given(
    payloads,
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["data: ", "id: 4{n}data: "]),
    st.lists(st.integers(0)),
)
def test_any_cut_gives_the_payloads_in_order(told: list[str], end: str, field: str, cuts: list[int]) -> None:
    stream = "".join(f"{field.replace('{n}', end)}{payload}{end}{end}" for payload in told)
    # The event after the last shows that a carriage return at the end was waiting for it.
    assert fed(stream.encode() + b"data: end\n\n", cuts) == [payload.encode() for payload in told] + [b"end"]


def test_lines_of_data_are_joined_and_comments_passed_over() -> None:
    assert Events().feed(b": ping\n\nevent: x\ndata: one\ndata:two\n\ndata\n\n") == [b"one\ntwo"]


def test_an_event_or_a_stream_without_end_is_refused() -> None:
    events = Events()
    with pytest.raises(Unavailable):
        for _ in range(MAX_EVENT_BYTES // 65536 + 1):
            events.feed(b"x" * 65536)
    events, event = Events(), b"data: " + b"x" * 65536 + b"\n\n"
    with pytest.raises(Unavailable):
        for _ in range(MAX_STREAM_BYTES // 65536 + 1):
            events.feed(event)
