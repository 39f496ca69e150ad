"""What was deleted and when: whatever is older than that stays forgotten, however late it comes.

A deletion takes the rows out of the online store; without a mark a late event, or a row of an older offline file, would
bring them back. A mark stays when the item is put again: what came before it is still forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MOST = 1_000_000
"""Deletions remembered of items, and of users; the oldest goes first."""

Key = str
"""Join key of the views, user_id or item_id."""


def deleted_key(key: Key) -> str:
    """Redis sorted set: entity -> microseconds since 1970."""
    return f"cascade:deleted:{key}"


def deletions(redis: Any, key: Key, ids: Iterable[int]) -> dict[int, int]:
    """Of these entities those that were deleted, with the time; `redis` is a client."""
    numbers = list(ids)
    if not numbers or not redis.exists(deleted_key(key)):
        return {}
    times = redis.zmscore(deleted_key(key), numbers)
    return {number: int(time) for number, time in zip(numbers, times, strict=True) if time is not None}


def mark_deleted(transaction: Any, key: Key, times_us: Mapping[int, int]) -> None:
    """Remembers deletions; of two of one entity the later one."""
    if times_us:
        transaction.zadd(deleted_key(key), dict(times_us), gt=True)
        transaction.zremrangebyrank(deleted_key(key), 0, -MOST - 1)
