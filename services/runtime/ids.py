"""REST speaks strings, the inside speaks unsigned 64-bit integers; this is the one bridge."""

from __future__ import annotations

import hashlib

MAX_EXTERNAL_LENGTH = 256
"""Longest external id accepted, in characters."""

_TOP = 1 << 63


def to_int(external: str) -> int:
    """The internal id: a decimal string is its own number, anything else a stable 64-bit hash.

    Never 0, which stands for "none" on the wire, and below 2**63 so that signed columns can hold it. "007" is not
    "7": only the canonical spelling of a number is that number.
    """
    if external.isascii() and external.isdigit() and len(external) <= 19 and (external == "0" or external[0] != "0"):
        number = int(external)
        if 0 < number < _TOP:
            return number
    digest = hashlib.blake2b(external.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 1) or 1
