"""The whole LLM gateway on a port, over real upstreams that speak OpenAI's API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from services.llm.pipeline import Pipeline
from services.llm.service import listening
from services.llm.settings import LlmSettings
from tests.llm.upstream import Upstream

KEY = "sk-the-owner-of-it-all"
CONFIG = """
[models.small]
backends = [{backends}]
fallbacks = ["template"]
timeout_seconds = 5
price = {{prompt = 1.0, completion = 2.0}}

[models.template]
backends = ["template://"]

[models.minilm]
backends = ["native://minilm"]

[keys.owner]
tenant = "owner"
secret = {{env = "CASCADE_LLM_KEY"}}
{more}
"""

Door = Callable[..., AbstractAsyncContextManager[tuple[AsyncOpenAI, Pipeline]]]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A model's server that works until a test breaks it."""
    async with Upstream("red") as running:
        yield running


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    """`async with door(upstream, more="[keys.web] …") as (client, pipeline)`: OpenAI's own client, with the key."""
    monkeypatch.setenv("CASCADE_LLM_KEY", KEY)

    @asynccontextmanager
    async def open_door(*upstreams: Upstream, more: str = "") -> AsyncIterator[tuple[AsyncOpenAI, Pipeline]]:
        file = tmp_path / "models.toml"
        backends = ", ".join(f'"{upstream.url}"' for upstream in upstreams)
        file.write_text(CONFIG.format(backends=backends, more=more))
        settings = LlmSettings(data_dir=tmp_path, port=0, rest_port=0, config=file, drain_seconds=0)
        async with (
            listening(settings) as (pipeline, rest),
            AsyncOpenAI(api_key=KEY, base_url=f"http://{rest.address}/v1", max_retries=0) as client,
        ):
            yield client, pipeline

    return open_door


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for a condition; fails after the deadline."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - the condition lies in another task
            await asyncio.sleep(0.005)
