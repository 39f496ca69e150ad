"""What tests of several packages share: a real Redis, property tests that a busy machine does not fail, and an order
in which two processes end at about the same time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # it has no stubs

from services.runtime.stores import redis_server

settings.register_profile("cascade", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cascade")

WHOLE = "tests/integration/"
"""Its files share a trained world and a running stack: one process runs them all."""
LAST_OF_WHOLE = f"{WHOLE}test_stop.py"
LONG = (WHOLE, "tests/trainer/", "tests/ingest/", "tests/retrieval/", "tests/runtime/")
"""Where the long files are: they come first, so that what is left at the end is short."""


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # untyped
    """Each file by itself, the whole stack's as one."""

    def _split_scope(self, nodeid: str) -> str:
        return WHOLE if nodeid.startswith(WHOLE) else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """For --numprocesses: what --dist loadfile names, with the files in the order of collection."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, each folder in its own order."""

    def place(item: pytest.Item) -> tuple[int, bool]:
        long = [number for number, folder in enumerate(LONG) if item.nodeid.startswith(folder)]
        return long[0] if long else len(LONG), item.nodeid.startswith(LAST_OF_WHOLE)

    items.sort(key=place)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis of this test run. Flush it, or use ids of your own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url
