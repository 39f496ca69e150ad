"""What the tests of ingest share: real Redis with the definitions, a real Kafka listener, and records to send."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from services.features.packing import VIEWS_KEY, View
from services.ingest.settings import IngestSettings
from tests.ingest.log import Sender
from tests.kafka_fixture import running_broker


@pytest.fixture(scope="session")
def layouts() -> dict[str, View]:
    """Every view by its name."""
    from services.features.definitions import views  # Feast takes seconds: only for tests that ask for the views

    return views()


@pytest.fixture
def redis(redis_url: str, layouts: dict[str, View]) -> Iterator[Redis]:
    """An online store that knows the views and nothing else."""
    client = Redis.from_url(redis_url)
    client.flushdb()
    client.hset(VIEWS_KEY, mapping={name: view.to_json() for name, view in layouts.items()})
    yield client
    client.close()


@pytest.fixture
def broker() -> Iterator[str]:
    """A broker of the test's own, empty."""
    with running_broker() as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, broker: str) -> IngestSettings:
    # The shortest session that outlasts the broker's wait for a group's first members, of three seconds.
    return IngestSettings(
        data_dir=tmp_path, redis_url=redis_url, kafka_url=broker, port=0, lake_seconds=0.1, drain_seconds=10.0,
        session_seconds=3.5,
    )  # fmt: skip


@pytest.fixture
def sender(broker: str) -> Iterator[Sender]:
    made = Sender(broker)
    yield made
    made.close()
