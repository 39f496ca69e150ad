"""Whether the caller still waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import Message

from services.llm.wire.exchange import CallerGone, Exchange


class Caller:
    """Somebody who hangs up when told to."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.exchange = Exchange({"headers": []}, self._receive, self._send, 1024)

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        raise AssertionError(f"nobody is there for {message}")


class Work:
    """Never done, and tells how it ended."""

    def __init__(self) -> None:
        self.begun, self.cancelled = asyncio.Event(), False

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def ended(end: Callable[[Caller, asyncio.Task[None]], object]) -> tuple[Work, asyncio.Task[None]]:
    """Work that is under way when `end` happens."""
    caller, work = Caller(), Work()
    task = asyncio.create_task(caller.exchange.while_wanted(work()))
    await work.begun.wait()
    end(caller, task)
    await asyncio.wait([task], timeout=10)
    return work, task


async def test_who_hangs_up_ends_the_work() -> None:
    work, task = await ended(lambda caller, _: caller.gone.set())
    assert work.cancelled
    assert isinstance(task.exception(), CallerGone)
    assert task.cancelling() == 0


async def test_who_cancels_the_request_is_not_taken_for_the_caller() -> None:
    def both(caller: Caller, task: asyncio.Task[None]) -> None:
        caller.gone.set()
        task.cancel()

    for end in (lambda _, task: task.cancel(), both):
        work, task = await ended(end)
        assert work.cancelled
        assert task.cancelled()


async def test_a_caller_who_hangs_up_after_the_answer_cancels_nothing() -> None:
    caller = Caller()

    async def answer() -> str:
        caller.gone.set()
        return "whole"

    assert await caller.exchange.while_wanted(answer()) == "whole"
    for _ in range(10):
        await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_goes_wrong_in_the_work_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await Caller().exchange.while_wanted(fail())
