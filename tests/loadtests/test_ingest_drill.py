"""The drill of ingest judges: a run that went well, and each way it can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from loadtests.ingest_events import MALFORMED, Load, Sent, load
from loadtests.ingest_verdict import verdict
from services.features.packing import VIEWS_KEY
from services.ingest.lake import Lake
from services.ingest.letters import Letter
from services.ingest.online import OnlineWriter, load_views
from services.ingest.records import Batch, read_batch


@dataclass
class Raw:
    """A record as a consumer hands it over."""

    sent: Sent
    offset: int
    topic: str = "events"
    partition: int = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.sent, name)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    from services.features.definitions import views  # Feast takes seconds

    with Redis.from_url(redis_url) as client:
        client.flushdb()
        client.hset(VIEWS_KEY, mapping={name: view.to_json() for name, view in views().items()})
        yield client


@pytest.fixture
def sent() -> Load:
    return load(1200, seed=3)


def batch_of(sent: Load) -> Batch:
    return read_batch(Raw(record, at) for at, record in enumerate(sent.records))  # type: ignore[misc]  # has what LogRecord asks for


def ingested(redis: Redis, root: Path, sent: Load) -> list[Letter]:
    batch, lake = batch_of(sent), Lake(root, redis)
    OnlineWriter(redis, load_views(redis)).write(batch.events, [])
    lake.add(batch)
    lake.flush()
    return list(batch.rejected)


def test_every_malformed_record_is_rejected_and_no_other(sent: Load) -> None:
    batch = batch_of(sent)
    assert {letter.message.value for letter in batch.rejected} == sent.malformed
    assert len(batch.rejected) == len(sent.malformed) == 12 == len(MALFORMED)
    assert {event.event_id for event in batch.events} == sent.events.keys()
    assert len(batch.events) == len(sent.events) + 12


def test_a_good_run_is_well_even_with_a_letter_written_twice(redis: Redis, tmp_path: Path, sent: Load) -> None:
    letters = ingested(redis, tmp_path, sent)
    found = verdict(redis, tmp_path, [*letters, letters[0]], sent)
    assert found.well
    assert (found.in_lake, found.letters_twice) == (len(sent.events), 1)


def _lost_in_the_lake(redis: Redis, root: Path, letters: list[Letter]) -> None:
    next(root.rglob("*.parquet")).unlink()


def _doubled_in_the_lake(redis: Redis, root: Path, letters: list[Letter]) -> None:
    file = next(root.rglob("*.parquet"))
    file.with_name("again.parquet").write_bytes(file.read_bytes())


def _lost_in_the_features(redis: Redis, root: Path, letters: list[Letter]) -> None:
    redis.delete(next(redis.scan_iter("cascade:user_activity:*")))


def _without_a_letter(redis: Redis, root: Path, letters: list[Letter]) -> None:
    letters.pop()


@pytest.mark.parametrize("harm", [_lost_in_the_lake, _doubled_in_the_lake, _lost_in_the_features, _without_a_letter])
def test_what_goes_wrong_is_found(
    harm: Callable[[Redis, Path, list[Letter]], None], redis: Redis, tmp_path: Path, sent: Load
) -> None:
    letters = ingested(redis, tmp_path, sent)
    harm(redis, tmp_path, letters)
    assert not verdict(redis, tmp_path, letters, sent).well
