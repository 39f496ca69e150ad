"""One trained world and one running stack for all tests of the whole: to start it takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.gateway.keys import read_or_create_keys
from services.local.stack import LocalStack
from services.runtime.errors import Unavailable
from tests.e2e.spans import Spans, receiving
from tests.integration.world import trained_world

ANY_PORT = {
    f"CASCADE_{name}_PORT": "0"
    for name in (
        "REDIS", "KAFKA", "FEATURES", "RETRIEVAL", "RANKER", "RERANKER", "INGEST", "TRAINER", "LLM", "LLM_REST",
        "GATEWAY",
    )
}  # fmt: skip


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a trained world."""
    data_dir = tmp_path_factory.mktemp("world")
    trained_world(data_dir)
    return data_dir


@pytest.fixture(scope="session")
def spans() -> Iterator[tuple[Spans, str]]:
    """What the stack's processes tell of requests that a header asks to be traced, and where they tell it."""
    with receiving() as received:
        yield received


@pytest.fixture(scope="session")
def stack_log(world: Path) -> Path:
    """What all processes of the stack say."""
    return world / "stack.log"


@pytest.fixture(scope="session")
def stack(world: Path, stack_log: Path, spans: tuple[Spans, str]) -> Iterator[LocalStack]:
    """Every service on free ports; when they cannot start, what they said is shown beside the failure."""
    with stack_log.open("wb") as log:
        stack = LocalStack(world, {**ANY_PORT, "CASCADE_OTLP_URL": spans[1], "CASCADE_TRACE_SHARE": "0"}, log)
        stack.start()
        try:
            stack.wait_ready()
            yield stack
        except Unavailable:
            print(stack_log.read_text())
            raise
        finally:
            stack.stop()


@pytest.fixture(scope="session")
def client(stack: LocalStack, world: Path) -> Iterator[httpx.Client]:
    """A caller with the write key."""
    keys = read_or_create_keys(world)
    with httpx.Client(base_url=stack.urls["gateway"], headers={"X-API-Key": keys.write}, timeout=10.0) as client:
        yield client
