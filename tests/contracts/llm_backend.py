"""What every backend of language models does.

A backend's test class inherits this and provides `backend`: open, and able to answer `self.model`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import orjson
import pytest

from services.llm.backends.backend import Backend
from services.llm.calls import Generation, Message, Piece, Sampling
from services.runtime.errors import DeadlineExceeded, InvalidArgument, Unavailable

SECONDS = 30.0
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string", "maxLength": 40}}, "required": ["answer"]}


async def pieces_of(stream: AsyncIterator[Piece]) -> list[Piece]:
    return [piece async for piece in stream]


async def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Returns when it holds; fails when it does not within the time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition lies in other tasks
            await asyncio.sleep(0.005)


class LlmBackendContract:
    """Behaviour, not speed."""

    model = "model"
    embeds = False
    """Has vectors."""

    @pytest.fixture
    def held(self) -> Callable[[], int]:
        """Calls that the backend, or what is behind it, works on at this moment; of a template that is none."""
        return lambda: 0

    def chat(self, text: str = "Name a film.", **sampling: object) -> Generation:
        options: dict[str, object] = {"temperature": 0.0, "max_tokens": 12} | sampling
        messages = (Message("system", "You are brief."), Message("user", text))
        return Generation(self.model, messages, sampling=Sampling(**options))  # type: ignore[arg-type]  # by name

    def prompt(self, text: str = "Once upon a time", max_tokens: int = 12) -> Generation:
        return Generation(self.model, prompt=text, sampling=Sampling(max_tokens=max_tokens, temperature=0.0))

    async def test_a_stream_joined_is_the_whole_answer(self, backend: Backend) -> None:
        for request in (self.chat(), self.prompt()):
            whole = await backend.complete(request, SECONDS)
            pieces = await pieces_of(backend.stream(request, SECONDS))
            assert "".join(piece.text for piece in pieces) == whole.text != ""
            assert pieces[-1].finish_reason == whole.finish_reason

    async def test_the_last_piece_and_only_that_has_the_reason_and_the_usage(self, backend: Backend) -> None:
        *before, last = await pieces_of(backend.stream(self.chat(), SECONDS))
        assert last.finish_reason in ("stop", "length")
        assert last.usage is not None
        assert last.usage.prompt_tokens > 0
        assert last.usage.completion_tokens > 0
        assert all(piece.finish_reason is None and piece.usage is None and piece.text for piece in before)

    async def test_an_answer_has_at_most_the_tokens_asked_for(self, backend: Backend) -> None:
        for limit in (1, 3):
            answer = await backend.complete(self.chat(max_tokens=limit), SECONDS)
            assert answer.usage.completion_tokens <= limit
            assert answer.finish_reason == "length"

    async def test_a_stop_string_ends_the_text_and_is_no_part_of_it(self, backend: Backend) -> None:
        whole = (await backend.complete(self.chat(), SECONDS)).text
        stop = whole[len(whole) // 2 :][:3]
        request = self.chat(stop=(stop,))
        stopped = await backend.complete(request, SECONDS)
        assert (stopped.text, stopped.finish_reason) == (whole.partition(stop)[0], "stop")
        streamed = "".join(piece.text for piece in await pieces_of(backend.stream(request, SECONDS)))
        assert streamed == stopped.text

    async def test_an_answer_to_a_schema_is_json_of_its_shape(self, backend: Backend) -> None:
        answer = await backend.complete(self.chat(json_schema=SCHEMA, max_tokens=64), SECONDS)
        assert isinstance(orjson.loads(answer.text)["answer"], str)

    async def test_a_greedy_answer_is_the_same_each_time_and_beside_others(self, backend: Backend) -> None:
        alone = await backend.complete(self.chat(), SECONDS)
        crowd = await asyncio.gather(*(backend.complete(self.chat(), SECONDS) for _ in range(4)))
        assert {answer.text for answer in crowd} == {alone.text}

    async def test_closing_a_stream_early_frees_what_it_held(self, backend: Backend, held: Callable[[], int]) -> None:
        stream = backend.stream(self.chat(max_tokens=64), SECONDS)
        first = await anext(stream)
        assert first.text
        await stream.aclose()  # type: ignore[attr-defined]  # the protocol's docstring asks for a generator
        await eventually(lambda: held() == 0)

    async def test_a_cancelled_call_frees_what_it_held(self, backend: Backend, held: Callable[[], int]) -> None:
        call = asyncio.create_task(backend.complete(self.chat(max_tokens=64), SECONDS))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await eventually(lambda: held() == 0)
        assert (await backend.complete(self.chat(), SECONDS)).text

    async def test_no_time_left_is_a_missed_deadline(self, backend: Backend, held: Callable[[], int]) -> None:
        with pytest.raises(DeadlineExceeded):
            await backend.complete(self.chat(), 0.0)
        with pytest.raises(DeadlineExceeded):
            await pieces_of(backend.stream(self.chat(), 0.0))
        await eventually(lambda: held() == 0)

    async def test_vectors_have_length_one_or_are_refused(self, backend: Backend) -> None:
        if not self.embeds:
            with pytest.raises(InvalidArgument):
                await backend.embed(self.model, ["one"], SECONDS)
            return
        vectors, tokens = await backend.embed(self.model, ["one", "another one", "one", "a third"], SECONDS)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-3)
        alone, _ = await backend.embed(self.model, ["another one"], SECONDS)
        np.testing.assert_allclose(vectors[1], alone[0], atol=1e-2)
        assert not np.array_equal(vectors[0], vectors[1])
        assert tokens > 0

    async def test_it_is_ready_until_it_is_closed_and_refuses_calls_then(self, backend: Backend) -> None:
        async with asyncio.timeout(SECONDS):
            while not await backend.ready():  # noqa: ASYNC110 - a model may still be loading, in another thread
                await asyncio.sleep(0.01)
        await backend.close()
        assert not await backend.ready()
        with pytest.raises(Unavailable):
            await backend.complete(self.chat(), SECONDS)
        with pytest.raises(Unavailable):
            await pieces_of(backend.stream(self.chat(), SECONDS))
        await backend.close()
