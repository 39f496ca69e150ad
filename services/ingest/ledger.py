"""What was done already, by idempotence key: a set in Redis that forgets whole generations.

ledger = Ledger("features")
new = ledger.unknown(redis, keys)      # which of these were not done yet
ledger.mark(transaction, keys)         # in the very transaction that does them
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

GENERATION_SECONDS = 7 * 86_400
"""A key is remembered for one to two generations."""


class Ledger:
    """Remembers 64-bit digests of keys; two keys of ten million share one with a chance of 1 in 200,000."""

    PREFIX = "cascade:ledger:"
    """What the Redis keys of every ledger begin with."""

    def __init__(self, name: str, clock: Callable[[], float] = time.time) -> None:
        self._name = name
        self._clock = clock

    def unknown(self, redis: Any, keys: Sequence[str]) -> list[bool]:
        """For each key whether it was never marked. `redis` is a client, or a pipeline that executes at once."""
        if not keys:
            return []
        digests = [_digest(key) for key in keys]
        generation = self._generation()
        present = redis.smismember(self._key(generation), digests)
        before = redis.smismember(self._key(generation - 1), digests)
        return [not (now or then) for now, then in zip(present, before, strict=True)]

    def mark(self, redis: Any, keys: Sequence[str]) -> None:
        """Adds the keys; `redis` is a client or a transaction."""
        if not keys:
            return
        current = self._key(self._generation())
        redis.sadd(current, *[_digest(key) for key in keys])
        redis.expire(current, 2 * GENERATION_SECONDS)

    def _generation(self) -> int:
        return int(self._clock()) // GENERATION_SECONDS

    def _key(self, generation: int) -> str:
        return f"{self.PREFIX}{self._name}:{generation}"


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
