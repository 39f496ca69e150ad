"""The exact cache."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from services.llm.answered import Answered
from services.llm.caches.answers import weight
from services.llm.caches.exact import ExactCache
from services.runtime.errors import Unavailable
from tests.llm.caches.builders import Clock, said

KEY = b"key"
ROOM = 1_000_000


def written(text: str = "answer", model: str = "asked") -> Answered:
    """What a model wrote just now."""
    return Answered(said(text), model, "openai://one")


def hit(text: str = "answer", model: str = "asked") -> Answered:
    """The same out of the cache."""
    return Answered(said(text), model, cache="exact")


class Model:
    """Answers when it is let; the first `broken` calls fail then."""

    def __init__(self, broken: int = 0, name: str = "asked") -> None:
        self._name = name
        self.calls = 0
        self.let = asyncio.Event()
        self._broken = broken

    async def __call__(self) -> Answered:
        self.calls += 1
        number = self.calls
        await self.let.wait()
        if number <= self._broken:
            raise Unavailable(f"Call {number} failed.")
        return written(f"answer {number}", self._name)


async def begun(model: Model, calls: int) -> None:
    """Returns when the model was called that often."""
    async with asyncio.timeout(5):
        while True:
            if model.calls == calls:
                return
            await asyncio.sleep(0)


async def test_the_second_call_is_a_hit_until_its_time_is_over() -> None:
    clock = Clock()
    cache, model = ExactCache(ROOM, seconds=60, clock=clock), Model()
    model.let.set()
    first = await cache.answer(KEY, model)
    clock.now = 59.9
    assert [first, await cache.answer(KEY, model)] == [written("answer 1"), hit("answer 1")]
    clock.now = 60
    assert cache.get(KEY) is None
    assert await cache.answer(KEY, model) == written("answer 2")


async def test_equal_calls_at_once_are_one_call() -> None:
    cache, model = ExactCache(ROOM, 60), Model()
    calls = [asyncio.create_task(cache.answer(KEY, model)) for _ in range(20)]
    other = asyncio.create_task(cache.answer(b"other", model))
    await begun(model, 2)
    model.let.set()
    answers = await asyncio.gather(*calls, other)
    assert Counter(answer.cache for answer in answers) == {"exact": 19, "": 2}
    assert {answer.completion.text for answer in answers[:-1]} == {"answer 1"}
    assert model.calls == 2


async def test_when_a_leader_fails_only_its_caller_hears_of_it_and_one_other_takes_over() -> None:
    cache, model = ExactCache(ROOM, 60), Model(broken=2)
    calls = [asyncio.create_task(cache.answer(KEY, model)) for _ in range(10)]
    await begun(model, 1)
    model.let.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(answer) for answer in answers if isinstance(answer, Unavailable)] == [
        "Call 1 failed.",
        "Call 2 failed.",
    ]
    assert Counter(answer.cache for answer in answers if isinstance(answer, Answered)) == {"exact": 7, "": 1}
    assert model.calls == 3


async def test_when_a_leader_is_cancelled_another_takes_over_and_a_follower_may_leave() -> None:
    cache, model = ExactCache(ROOM, 60), Model()
    leader, leaving, staying = (asyncio.create_task(cache.answer(KEY, model)) for _ in range(3))
    await begun(model, 1)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    leader.cancel()
    await begun(model, 2)
    model.let.set()
    assert await staying == written("answer 2")
    assert leaving.cancelled()
    assert leader.cancelled()


async def test_nobody_waits_longer_than_the_bound_for_another_call() -> None:
    cache, slow, quick = ExactCache(ROOM, 60, wait_seconds=0.01), Model(), Model()
    leader = asyncio.create_task(cache.answer(KEY, slow))
    await begun(slow, 1)
    quick.let.set()
    async with asyncio.timeout(5):
        assert await cache.answer(KEY, quick) == written("answer 1")
    slow.let.set()
    await leader


async def test_an_answer_not_worth_keeping_is_shared_with_those_who_wait_and_with_nobody_after_them() -> None:
    cache, model = ExactCache(ROOM, 60), Model(name="fallback")
    calls = [asyncio.create_task(cache.answer(KEY, model, keep=lambda _: False)) for _ in range(3)]
    await begun(model, 1)
    model.let.set()
    # Those who waited are told who wrote it, and that nobody was asked for them.
    shared = hit("answer 1", "fallback")
    assert await asyncio.gather(*calls) == [written("answer 1", "fallback"), shared, shared]
    assert cache.get(KEY) is None


async def test_a_failure_is_not_kept() -> None:
    cache, model = ExactCache(ROOM, 60), Model(broken=1)
    model.let.set()
    with pytest.raises(Unavailable):
        await cache.answer(KEY, model)
    assert (await cache.answer(KEY, model)).completion == said("answer 2")


def test_the_least_recently_used_goes_first_and_the_bytes_are_bounded() -> None:
    one = weight(said("x" * 100))
    cache = ExactCache(10 * one, 60)
    for number in range(10):
        cache.keep(bytes([number]), written("x" * 100))
    assert cache.nbytes == 10 * one
    assert cache.get(b"\x00") is not None
    cache.keep(b"new", written("x" * 100))
    assert cache.get(b"\x00") is not None
    assert cache.get(b"\x01") is None
    assert len(cache) == 10


def test_an_answer_that_would_fill_too_much_of_the_cache_is_not_kept() -> None:
    cache = ExactCache(100_000, 60)
    cache.keep(KEY, written("x" * 12_000))
    assert cache.get(KEY) is None
    cache.keep(KEY, written("x" * 11_000))
    assert cache.get(KEY) is not None


async def test_any_order_of_failures_and_cancellations_leaves_no_flight_behind() -> None:
    dice, cache, made = random.Random(11), ExactCache(20_000, 60), list[str]()

    async def make() -> Answered:
        await asyncio.sleep(0)
        if dice.random() < 0.3:
            raise Unavailable("It failed.")
        made.append("made")
        return written()

    for _ in range(30):
        tasks = [asyncio.create_task(cache.answer(bytes([dice.randrange(4)]), make)) for _ in range(12)]
        await asyncio.sleep(0)
        for task in dice.sample(tasks, 4):
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, Answered | Unavailable | asyncio.CancelledError) for outcome in outcomes)
        cache = ExactCache(20_000, 60) if dice.random() < 0.5 else cache
        assert not cache._flights
    assert made
