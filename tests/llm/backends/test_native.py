"""native://: the engine of this process as a backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from services.llm.backends.native import EngineConfig, NativeBackend, open_native
from services.llm.calls import Generation, Message, Sampling
from services.runtime.errors import InvalidArgument, SettingsError
from tests.contracts.llm_backend import SECONDS, LlmBackendContract, eventually
from tests.llm.engine.tiny import tiny

CONFIG = EngineConfig(precision="float32", kv_blocks=64, max_model_len=512)


class TestNative(LlmBackendContract):
    """A tiny model with random weights."""

    def chat(self, text: str = "Name a film.", **sampling: object) -> Generation:
        # A token of this model is a byte: what a schema asks for takes more of them.
        return super().chat(text, **(sampling | {"max_tokens": 400} if "json_schema" in sampling else sampling))

    @pytest.fixture
    async def backend(self) -> AsyncIterator[NativeBackend]:
        backend = open_native(f"native://{tiny().folder}", CONFIG)
        await eventually(lambda: backend.stats() is not None)
        yield backend
        await backend.close()

    @pytest.fixture
    def held(self, backend: NativeBackend) -> Callable[[], int]:
        def count() -> int:
            stats = backend.stats()
            return backend.num_requests + (0 if stats is None else round(stats.kv_usage * 64))

        return count

    async def test_every_token_has_its_log_probability_though_its_text_waits(self, backend: NativeBackend) -> None:
        request = self.chat(logprobs=1, max_tokens=20)
        answer = await backend.complete(request, SECONDS)
        assert len(answer.logprobs) == answer.usage.completion_tokens
        streamed = [piece async for piece in backend.stream(request, SECONDS)]
        assert tuple(logprob for piece in streamed for logprob in piece.logprobs) == answer.logprobs

    async def test_a_prompt_seen_before_is_counted_as_cached(self, backend: NativeBackend) -> None:
        request = self.prompt("The same beginning of forty letters or more, twice.")
        assert (await backend.complete(request, SECONDS)).usage.cached_tokens == 0
        assert (await backend.complete(request, SECONDS)).usage.cached_tokens == 48

    async def test_neither_a_chat_nor_a_prompt_is_refused(self, backend: NativeBackend) -> None:
        for wrong in (
            Generation("model", sampling=Sampling(max_tokens=3)),
            Generation("model", (Message("user", "Hi"),), prompt="Hi", sampling=Sampling(max_tokens=3)),
        ):
            with pytest.raises(InvalidArgument):
                await backend.complete(wrong, SECONDS)


def test_a_model_that_is_not_there_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError):
        open_native("native:///nowhere")
