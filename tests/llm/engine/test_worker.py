"""The engine's thread and its callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from services.llm.calls import FinishReason, Piece, Sampling, Usage
from services.llm.engine.engine import Engine, Output
from services.llm.engine.observer import EngineObserver
from services.llm.engine.worker import AsyncEngine, gather_pieces
from services.runtime.errors import DeadlineExceeded, InvalidArgument, SettingsError, TooMany, Unavailable
from tests.llm.engine.tiny import tiny, tiny_engine

SHORT = Sampling(max_tokens=5, temperature=0)
LONG = Sampling(max_tokens=200, temperature=0)


@asynccontextmanager
async def running(build: Callable[[], Engine] = tiny_engine, most: int = 4) -> AsyncIterator[AsyncEngine]:
    engine = AsyncEngine(build, most)
    try:
        yield engine
    finally:
        await engine.close()


async def ask(engine: AsyncEngine, sampling: Sampling = SHORT, timeout: float = 20) -> list[Piece]:
    return await gather_pieces(engine.stream(lambda _: [65, 66], sampling, timeout=timeout), timeout)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # the condition lies in another thread
            await asyncio.sleep(0.002)


async def test_callers_at_once_each_get_their_whole_answer() -> None:
    async with running() as engine:
        answers = await asyncio.gather(*(ask(engine) for _ in range(4)))
        assert len({"".join(piece.text for piece in answer) for answer in answers}) == 1
        assert all(answer[-1].finish_reason == "length" for answer in answers)
        assert engine.num_requests == 0


class Ends(EngineObserver):
    """Why each request ended."""

    def __init__(self) -> None:
        self.reasons: list[FinishReason | None] = []

    def on_finished(self, reason: FinishReason | None, usage: Usage, seconds: float) -> None:
        self.reasons.append(reason)


async def test_closing_a_stream_ends_its_request_and_frees_its_blocks() -> None:
    observer = Ends()

    def build() -> Engine:
        config = tiny_engine(max_model_len=512).config
        return Engine(tiny().weights, tiny().tokenizer, config, observer=observer)

    async with running(build) as engine:
        endless = Sampling(max_tokens=460, temperature=0)
        async with aclosing(engine.stream(lambda _: [65] * 40, endless, timeout=20)) as stream:
            await anext(stream)
            stats = engine.stats()
            assert stats is not None
            assert stats.kv_usage > 0
        await until(lambda: bool(observer.reasons))
        assert observer.reasons == [None]
        stats = engine.stats()
        assert stats is not None
        assert stats.kv_usage == 0


async def test_one_request_too_many_is_refused_at_once() -> None:
    async with running(most=1) as engine, aclosing(engine.stream(lambda _: [65], LONG, timeout=20)) as stream:
        await anext(stream)
        with pytest.raises(TooMany):
            await ask(engine)


async def test_a_wrong_request_is_its_caller_s_error_and_no_other_s() -> None:
    async with running() as engine:
        wrong, right = await asyncio.gather(ask(engine, Sampling(logprobs=10_000)), ask(engine), return_exceptions=True)
        assert isinstance(wrong, Exception)
        assert isinstance(right, list)
        with pytest.raises(InvalidArgument):
            await ask(engine, Sampling(json_schema={"type": 1}))


async def test_silence_longer_than_allowed_is_a_missed_deadline() -> None:
    loaded = threading.Event()

    def slow() -> Engine:
        loaded.wait(20)
        return tiny_engine()

    async with running(slow) as engine:
        assert not engine.ready
        with pytest.raises(DeadlineExceeded):
            await ask(engine, timeout=0.01)
        loaded.set()
        assert await ask(engine)


class Broken(Engine):
    """Fails in its third step."""

    steps = 0

    def step(self) -> list[Output]:
        self.steps += 1
        if self.steps == 3:
            raise RuntimeError("a broken step")
        return super().step()


async def test_a_failed_step_ends_every_call_as_unavailable_and_the_next_is_answered() -> None:
    def build() -> Engine:
        plain = tiny_engine()
        return Broken(tiny().weights, plain.tokenizer, plain.config)

    async with running(build) as engine:
        answers = await asyncio.gather(ask(engine, LONG), ask(engine, LONG), return_exceptions=True)
        assert all(isinstance(answer, Unavailable) for answer in answers)
        assert (await ask(engine))[-1].finish_reason == "length"


async def test_a_model_that_cannot_be_loaded_is_unavailable_with_the_reason() -> None:
    def build() -> Engine:
        raise SettingsError("There is no such model.")

    async with running(build) as engine:
        with pytest.raises(Unavailable, match="There is no such model"):
            await ask(engine)
        assert not engine.ready


async def test_closing_ends_the_calls_and_the_thread() -> None:
    async with running() as engine:
        call = asyncio.create_task(ask(engine, LONG))
        await until(lambda: (now := engine.stats()) is not None and now.running == 1)
        await engine.close()
        with pytest.raises(Unavailable):
            await call
    assert not any(thread.name == "llm-engine" for thread in threading.enumerate())
