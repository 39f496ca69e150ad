"""Identifiers the gateway makes: of recommendations, and the places of users in experiments."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid


def new_recommendation_id() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562, 5.7): 48 bits of milliseconds, then 74 random bits; sorts by time."""
    moment = time.time_ns() // 1_000_000
    number = (moment & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62
    return uuid.UUID(int=number | secrets.randbits(62))


def share_of(key: str, subject: int) -> float:
    """A number in [0, 1) that is the same for a subject every time and independent between keys."""
    digest = hashlib.blake2b(f"{key}:{subject}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64
