"""The memory of what was done."""

from __future__ import annotations

from redis import Redis

from services.ingest.ledger import GENERATION_SECONDS, Ledger


def test_a_marked_key_is_known_for_a_whole_generation_and_forgotten_after_two(redis: Redis) -> None:
    now = 10.5 * GENERATION_SECONDS
    ledger = Ledger("test", clock=lambda: now)
    ledger.mark(redis, ["a", "b"])
    assert ledger.unknown(redis, ["b", "c", "a"]) == [False, True, False]
    now += GENERATION_SECONDS
    assert ledger.unknown(redis, ["a"]) == [False]
    now += GENERATION_SECONDS
    assert ledger.unknown(redis, ["a"]) == [True]


def test_ledgers_of_different_names_know_nothing_of_each_other(redis: Redis) -> None:
    Ledger("one").mark(redis, ["a"])
    assert Ledger("two").unknown(redis, ["a"]) == [True]


def test_redis_forgets_a_generation_by_itself(redis: Redis) -> None:
    Ledger("test").mark(redis, ["a"])
    (key,) = redis.keys("cascade:ledger:test:*")  # type: ignore[misc]  # redis-py types both of its clients at once
    assert 0 < redis.ttl(key) <= 2 * GENERATION_SECONDS  # type: ignore[operator]  # as above


def test_asking_or_marking_nothing_needs_no_round_trip(redis: Redis) -> None:
    assert Ledger("test").unknown(None, []) == []
    Ledger("test").mark(None, [])
