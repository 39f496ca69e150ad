"""Server-sent events as they arrive, cut at any byte (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from services.runtime.errors import Unavailable

MAX_EVENT_BYTES = 1024 * 1024
"""An event that grows beyond this is not waited for."""
MAX_STREAM_BYTES = 64 * 1024 * 1024
"""A stream that grows beyond this has no end."""


class Events:
    """Chunks in, payloads of whole events out.

    events.feed(b'data: {"a"')      # []
    events.feed(b': 1}\\n\\ndata:')   # [b'{"a": 1}']
    """

    def __init__(self) -> None:
        self._rest = b""
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The `data` of each event this chunk completes; comments and other fields are passed over.

        Unavailable when an event is larger than a mebibyte, or the stream than 64.
        """
        self._size += len(chunk)
        data = self._rest + chunk
        if b"\r" in data:
            data = _with_plain_line_ends(data)
        *whole, self._rest = data.split(b"\n\n")
        if len(self._rest) > MAX_EVENT_BYTES or self._size > MAX_STREAM_BYTES:
            raise Unavailable(f"The stream has an event of more than {MAX_EVENT_BYTES} bytes, or no end.")
        return [payload for event in whole if (payload := _payload(event))]


def _payload(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


def _with_plain_line_ends(data: bytes) -> bytes:
    # A carriage return at the end may be half of a line's end: it waits for what follows.
    waiting = data.endswith(b"\r")
    plain = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return plain + b"\r" if waiting else plain
