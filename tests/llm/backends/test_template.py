"""The end of each chain: an answer that needs no model."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.llm.backends.backend import Backend
from services.llm.backends.opening import open_backend
from services.llm.backends.template import MAX_QUOTE, SENTENCE
from services.llm.calls import Generation, Message
from tests.contracts.llm_backend import LlmBackendContract


class TestTemplate(LlmBackendContract):
    @pytest_asyncio.fixture
    async def backend(self) -> AsyncIterator[Backend]:
        template = open_backend("template://")
        yield template
        await template.close()

    async def test_the_last_question_is_quoted_and_the_rule_named(self, backend: Backend) -> None:
        turns = (Message("user", "first"), Message("assistant", "no"), Message("user", "And  a\nheist film?"))
        answer = await backend.complete(Generation("m", turns), 1.0)
        assert answer.text == f'{SENTENCE} You asked: "And a heist film?"'

    @pytest.mark.parametrize("text", ["word " * 1000, "w" * 5000, " " * 5000 + "late"])
    async def test_a_long_question_is_shortened(self, backend: Backend, text: str) -> None:
        answer = await backend.complete(Generation("m", prompt=text), 1.0)
        assert len(answer.text) <= len(SENTENCE) + MAX_QUOTE + 20
        assert answer.usage.completion_tokens < 60
