"""Random failures, streams and cancellations: no place is lost, no stream starts anew, no answers are mixed."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from services.llm.routing.breaker import BreakerConfig
from services.llm.routing.router import Router
from services.runtime.errors import CascadeError, DeadlineExceeded, InvalidArgument, TooMany, Unavailable
from tests.llm.routing.scripted import HANG, WORDS, Breaks, Noted, Step, call, route, routing, scripted

FAULTS: list[Step] = [
    Unavailable("away"), DeadlineExceeded("late"), TooMany("full"), InvalidArgument("wrong"), HANG,
    Breaks(1, Unavailable("broken")), Breaks(3, Unavailable("broken")), ZeroDivisionError(),
]  # fmt: skip
NAMES = ("red", "blue", "green")
MOST = 3
faults = st.lists(st.sampled_from(FAULTS), max_size=12)
calls = st.lists(st.tuples(st.sampled_from(["complete", "stream"]), st.integers(0, 30), st.integers(0, 6)), max_size=24)


def is_prefix_of_one(text: str) -> bool:
    """Words of one backend, in order, from its first."""
    whole = ["".join(f"{name}-{place} " for place in range(WORDS)) for name in (*NAMES, "template")]
    return any(answer.startswith(text) for answer in whole)


async def read(router: Router, kind: str, stop_after: int) -> None:
    """One call; its stream is closed after so many pieces."""
    if kind == "complete":
        assert is_prefix_of_one((await router.complete(call(), 60)).value.text)
        return
    stream, got = router.stream(call(), 60), ""
    try:
        async for piece in stream:
            got += piece.text
            assert is_prefix_of_one(got)
            assert got.startswith(stream.backend)
            if piece.finish_reason is not None:
                assert got.count(" ") == WORDS
            if got.count(" ") > stop_after:
                break
    finally:
        await stream.aclose()


async def cancelled_after(turns: int, task: asyncio.Task[None]) -> BaseException | None:
    """What became of a call that is cancelled after so many turns of the loop, if it takes so long."""
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    return (await asyncio.gather(task, return_exceptions=True))[0]


@seed(8)
@settings(max_examples=150)
@given(st.tuples(faults, faults, faults), calls, st.integers())
def test_nothing_leaks_restarts_or_mixes(
    steps: tuple[list[Step], ...], calls: list[tuple[str, int, int]], random: int
) -> None:
    async def run() -> None:
        backends, noted, order = scripted(**dict(zip(NAMES, steps, strict=True)), template=[]), Noted(), Random(random)
        for backend in backends.values():
            backend.ticks = order.randrange(3)
        models = {"m": route(*NAMES, fallbacks=("t",), max_in_flight=MOST), "t": route("template")}
        breaker = BreakerConfig(failures=2, pause_seconds=0.0005)
        # `routing` asserts at its end that no place is taken and no backend at work.
        async with routing(models, backends, noted, breaker) as router:
            tasks = [asyncio.create_task(read(router, kind, stop_after)) for kind, _, stop_after in calls]
            ends = await asyncio.gather(
                *(cancelled_after(5 * turns, task) for task, (_, turns, _) in zip(tasks, calls, strict=True))
            )
        assert all(backends[name].most_open <= MOST for name in NAMES)
        allowed = (CascadeError, ZeroDivisionError, asyncio.CancelledError)
        assert [end for end in ends if end is not None and not isinstance(end, allowed)] == []

    asyncio.run(run())
