"""An online store with the definitions applied, empty before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from feast import FeatureStore
from redis import Redis

from services.features.definitions import apply_definitions


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of the test run's Redis, flushed."""
    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def store(redis: Redis, redis_url: str, tmp_path: Path) -> FeatureStore:
    """Feast over an empty, defined store."""
    return apply_definitions(tmp_path, redis_url)
