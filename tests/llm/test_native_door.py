"""The door over the real model: a chat, a stream, JSON under a schema, vectors, and what Prometheus is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from services.llm.service import listening
from services.llm.settings import LlmSettings
from tests.llm.conftest import KEY

ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's client of the configuration that nobody changed."""
    monkeypatch.setenv("CASCADE_LLM_KEY", KEY)
    settings = LlmSettings(data_dir=tmp_path, port=0, rest_port=0, drain_seconds=0)
    async with (
        listening(settings) as (_, rest),
        AsyncOpenAI(api_key=KEY, base_url=f"http://{rest.address}/v1", max_retries=0) as opened,
    ):
        yield opened


async def test_the_model_of_the_wheel_answers_like_any_other(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(
        model="smollm2", messages=ASKED, temperature=0, max_tokens=16, logprobs=True, top_logprobs=2
    )
    text = whole.choices[0].message.content or ""
    assert "Paris" in text
    logprobs = whole.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert all(len(token.top_logprobs) == 2 for token in logprobs.content)
    stream = await client.chat.completions.create(
        model="smollm2", messages=ASKED, temperature=0, max_tokens=16, stream=True
    )
    assert "Paris" in "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"city": {"enum": ["London", "Paris"]}, "size": {"type": "integer"}},
        "required": ["city", "size"],
        "additionalProperties": False,
    }
    answer = await client.chat.completions.create(
        model="smollm2",
        messages=ASKED,
        temperature=0,
        max_tokens=40,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    )
    told = orjson.loads(answer.choices[0].message.content or "")
    assert told.keys() == {"city", "size"}
    async with httpx.AsyncClient() as plain:
        metrics = (await plain.get(str(client.base_url).replace("/v1/", "/metrics"))).text
    for name in ("vllm:generation_tokens_total", "vllm:kv_cache_usage_perc", "vllm:prefix_cache_hits_total"):
        assert f'{name}{{model_name="smollm2"}}' in metrics
