"""The id under which a request is logged, here and at whoever sent it."""

from __future__ import annotations

import re
import secrets

_VISIBLE = re.compile(r"[!-~]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def request_id_of(given: str, traceparent: str) -> str:
    """The caller's request id when it is 1 to 128 visible ASCII characters, else its W3C trace id, else a new one."""
    if _VISIBLE.fullmatch(given):
        return given
    trace = _TRACEPARENT.fullmatch(traceparent)
    return trace.group(1) if trace else secrets.token_hex(16)
