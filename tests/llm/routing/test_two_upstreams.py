"""Two real upstreams, one of which is killed under load."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest_asyncio

from services.llm.backends.template import SENTENCE
from services.llm.routing.breaker import BreakerConfig
from services.llm.routing.route import ModelRoute, Target
from services.llm.routing.router import Router, open_router
from services.runtime.errors import Unavailable
from tests.contracts.llm_backend import eventually
from tests.llm.routing.scripted import Noted, call
from tests.llm.upstream import Behaviour, Upstream

Pair = tuple[Upstream, Upstream]
BREAKER = BreakerConfig(failures=3, pause_seconds=0.05, longest_pause_seconds=0.2)
CALLS, TASKS = 300, 32


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    async with Upstream("red") as red, Upstream("blue") as blue:
        yield red, blue


@pytest_asyncio.fixture
async def noted() -> Noted:
    return Noted()


@pytest_asyncio.fixture
async def router(pair: Pair, noted: Noted) -> AsyncIterator[Router]:
    targets = tuple(Target(upstream.url, label=upstream.name) for upstream in pair)
    models = {"m": ModelRoute(targets, ("t",)), "t": ModelRoute((Target("template://"),))}
    async with open_router(models, breaker=BREAKER, observer=noted) as router:
        yield router


async def test_no_whole_answer_fails_and_the_breaker_opens_and_closes(pair: Pair, router: Router, noted: Noted) -> None:
    red, blue = pair
    red.behaviour = blue.behaviour = Behaviour(seconds_a_word=0.001)
    left, models = iter(range(CALLS)), Counter[str]()

    async def caller() -> None:
        for place in left:
            if place == CALLS // 2:
                red.kill()
            models[(await router.complete(call(), 30)).model] += 1

    await asyncio.gather(*(caller() for _ in range(TASKS)))
    assert models == {"m": CALLS}
    assert ("broke", "red", "open") in noted.told
    before = red.counts.calls
    await red.start()
    async with asyncio.timeout(20):
        while router.states()["red"].breaker != "closed":
            assert (await router.complete(call(), 30)).model == "m"
    await asyncio.gather(*(router.complete(call(), 30) for _ in range(TASKS)))
    assert red.counts.calls > before + 1
    assert noted.told.count(("broke", "red", "closed")) == 1
    assert all(state.in_flight == 0 for state in router.states().values())


async def test_a_stream_ends_with_its_upstream_and_never_starts_again(pair: Pair, router: Router) -> None:
    red, blue = pair
    red.behaviour = blue.behaviour = Behaviour(words=50, seconds_a_word=0.005)
    got: list[str] = []

    async def reader() -> bool:
        words = ""
        async with aclosing(router.stream(call(), 30)) as stream:
            try:
                async for piece in stream:
                    words += piece.text
                    got.append(piece.text)
                return True
            except Unavailable:
                return False
            finally:
                assert words == "".join(f"{stream.backend}-{place} " for place in range(words.count(" ")))

    async def killer() -> None:
        await eventually(lambda: len(got) > 40)
        red.kill()

    *whole, _ = await asyncio.gather(*(reader() for _ in range(12)), killer())
    assert {True, False} == set(whole)
    assert all(state.in_flight == 0 for state in router.states().values())


async def test_with_both_away_the_template_answers(pair: Pair, router: Router) -> None:
    for upstream in pair:
        upstream.kill()
    routed = await router.complete(call(), 30)
    assert (routed.model, routed.backend) == ("t", "template://")
    assert routed.value.text.startswith(SENTENCE)


async def test_a_caller_that_leaves_frees_the_upstream(pair: Pair, router: Router) -> None:
    red, blue = pair
    red.behaviour = blue.behaviour = Behaviour(words=1000, seconds_a_word=0.01)
    async with aclosing(router.stream(call(), 30)) as stream:
        await anext(stream)
    await eventually(lambda: red.counts.open + blue.counts.open == 0)
    assert red.counts.disconnects + blue.counts.disconnects == 1
