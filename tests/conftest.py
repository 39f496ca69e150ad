"""What tests of several packages share: a real Redis, and property tests that a busy machine does not fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from services.runtime.stores import redis_server

settings.register_profile("cascade", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cascade")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis of this test run. Flush it, or use ids of your own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url
