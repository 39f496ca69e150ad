"""Which run is due when, that it happens then, once, and ends with the service."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.artifact import Manifest, seal, writing
from services.runtime.errors import Conflict, NotFound
from services.runtime.registry import CHAMPION, Registry
from services.trainer.runs.arrivals import Arrivals
from services.trainer.runs.child import command
from services.trainer.runs.folder import Runs
from services.trainer.runs.record import Run
from services.trainer.runs.supervisor import Supervisor, supervising
from services.trainer.schedule import Due, Schedule
from services.trainer.settings import TrainerSettings

TRAINED = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEADLINE = 20.0


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    registry = Registry.open(folder)
    with writing(folder / "ranker") as draft:
        (draft / "model.onnx").write_bytes(b"weights")
        seal(draft, Manifest(name="ranker", kind="lambdamart", lineage={"created_at": TRAINED.isoformat()}))
    registry.publish("ranker", folder / "ranker", CHAMPION)
    return folder


@pytest.fixture
def registry(published: Path, tmp_path: Path) -> Registry:
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    return Registry.open(tmp_path)


def settings(data_dir: Path) -> TrainerSettings:
    return TrainerSettings(data_dir=data_dir, every_hours=24, learn_minutes=10, learn_examples=100, niceness=0)


def schedule(registry: Registry, data_dir: Path, age: timedelta) -> Schedule:
    arrivals = Arrivals(data_dir / "lake")
    return Schedule(registry, settings(data_dir), Runs(data_dir), arrivals, lambda: TRAINED + age)


def due(registry: Registry, data_dir: Path, age: timedelta, tried: timedelta = timedelta(0)) -> Due:
    return schedule(registry, data_dir, age).due(TRAINED + tried, TRAINED)


def shown(data_dir: Path, at: timedelta, rows: int) -> None:
    folder = data_dir / "lake" / "impressions" / f"date={TRAINED + at:%Y-%m-%d}"
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({"ts": pa.array([TRAINED + at] * rows, pa.timestamp("us", "UTC"))})
    pq.write_table(table, folder / f"{at.total_seconds():.0f}.parquet")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


def test_a_champion_that_has_reached_its_age_is_trained_from_scratch(registry: Registry, tmp_path: Path) -> None:
    assert due(registry, tmp_path, HOUR).kind is None
    assert due(registry, tmp_path, 24 * HOUR).kind == "full"


def test_without_news_there_is_nothing_to_learn(registry: Registry, tmp_path: Path) -> None:
    assert due(registry, tmp_path, 2 * HOUR).kind is None


def test_what_was_shown_is_learned_from_when_its_time_has_come(registry: Registry, tmp_path: Path) -> None:
    shown(tmp_path, HOUR, rows=5)
    found = due(registry, tmp_path, 2 * HOUR)
    assert (found.kind, found.trigger, found.new_examples) == ("continuous", "schedule", 5)
    assert due(registry, tmp_path, 2 * HOUR, tried=2 * HOUR - timedelta(minutes=9)).kind is None


def test_many_examples_do_not_wait_for_their_time(registry: Registry, tmp_path: Path) -> None:
    shown(tmp_path, HOUR, rows=100)
    found = due(registry, tmp_path, 2 * HOUR, tried=2 * HOUR - timedelta(minutes=1))
    assert (found.kind, found.trigger) == ("continuous", "examples")


def test_what_a_run_has_learned_from_is_not_new(registry: Registry, tmp_path: Path) -> None:
    shown(tmp_path, HOUR, rows=100)
    run = Run.begin("continuous", "schedule")
    run.learned_us = {"ranker": round((TRAINED + HOUR).timestamp() * 1e6)}
    run.end("published")
    Runs(tmp_path).write(run)
    found = due(registry, tmp_path, 2 * HOUR)
    assert (found.kind, found.new_examples) == (None, 0)


def test_a_run_that_was_killed_goes_on_first(registry: Registry, tmp_path: Path) -> None:
    Runs(tmp_path).write(Run.begin("continuous", "schedule"))
    assert due(registry, tmp_path, HOUR).kind == "continuous"


def test_without_a_champion_there_is_no_schedule(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no 'champion' of 'ranker'"):
        due(Registry.open(tmp_path), tmp_path, HOUR)


def supervisor(registry: Registry, data_dir: Path, code: str, planned: Schedule | None = None) -> Supervisor:
    planned = planned or schedule(registry, data_dir, HOUR)
    run = [sys.executable, "-S", "-c", code]
    return Supervisor(settings(data_dir), Runs(data_dir), planned, lambda _settings, _run: run)


async def test_a_run_happens_on_request(registry: Registry, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with supervising(watched := supervisor(registry, tmp_path, f"open({str(log)!r}, 'a').write('x')")):
        run = await watched.start("continuous")
        await until(log.exists)
    assert (run.kind, run.trigger) == ("continuous", "request")


async def test_only_one_run_goes_on_at_a_time(registry: Registry, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = f"import signal; open({str(log)!r}, 'a').write('x'); signal.pause()"
    async with supervising(watched := supervisor(registry, tmp_path, code)):
        await watched.start("continuous")
        await until(log.exists)
        with pytest.raises(Conflict, match="goes on already"):
            await watched.start("continuous")


async def test_a_run_that_failed_waits_before_it_is_tried_again(registry: Registry, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = f"open({str(log)!r}, 'a').write('x'); raise SystemExit(1)"
    # By the clock of today the champion is long due.
    overdue = Schedule(registry, settings(tmp_path), Runs(tmp_path), Arrivals(tmp_path / "lake"))
    async with supervising(watched := supervisor(registry, tmp_path, code, overdue)):
        await until(lambda: log.exists() and watched.status.next_at is not None and watched.status.current is None)
        started = datetime.now(UTC)
        found = overdue.due(started, started + timedelta(minutes=15))
    assert found.kind is None
    assert found.next_at > started
    assert log.read_text() == "x"


async def test_a_run_ends_with_the_service(registry: Registry, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"import os, signal; open({str(told)!r}, 'w').write(str(os.getpid())); signal.pause()"
    async with supervising(watched := supervisor(registry, tmp_path, code)):
        await watched.start("continuous")
        await until(lambda: told.exists() and bool(told.read_text()))
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_a_run_is_told_what_the_settings_name(tmp_path: Path) -> None:
    named = TrainerSettings(
        data_dir=tmp_path, dataset="ml-100k", registry_url="http://mlflow:5000", position="weights", interests=3
    )
    full = command(named, Run.begin("full", "schedule"))
    learn = command(named, Run.begin("continuous", "examples"))
    assert full[1:4] == ["-m", "services.trainer", "train"]
    assert full[full.index("--dataset") + 1] == "ml-100k"
    assert full[full.index("--interests") + 1] == "3"
    assert learn[1:4] == ["-m", "services.trainer", "learn"]
    assert learn[learn.index("--position") + 1] == "weights"
    assert learn[learn.index("--trigger") + 1] == "examples"
    assert learn[learn.index("--registry-url") + 1] == "http://mlflow:5000"
