"""When training is due, and that a run happens then, once, and ends with the service."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.artifact import Manifest, seal, writing
from services.runtime.errors import NotFound
from services.runtime.registry import CHAMPION, Registry
from services.trainer.schedule import Schedule, command, following
from services.trainer.settings import TrainerSettings

TRAINED = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEADLINE = 20.0


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("registry")
    registry = Registry.open(folder)
    with writing(folder / "ranker") as draft:
        (draft / "model.onnx").write_bytes(b"weights")
        seal(draft, Manifest(name="ranker", kind="lambdamart", lineage={"created_at": TRAINED.isoformat()}))
    registry.publish("ranker", folder / "ranker", CHAMPION)
    return registry


def schedule(registry: Registry, age: timedelta, every_hours: float = 24.0) -> Schedule:
    return Schedule(registry, TrainerSettings(every_hours=every_hours), lambda: TRAINED + age)


def written(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


def test_a_champion_is_due_when_it_has_reached_its_age(registry: Registry) -> None:
    assert schedule(registry, timedelta(hours=1)).due_in() == 23 * 3600
    assert schedule(registry, timedelta(hours=24)).due_in() == 0
    assert schedule(registry, timedelta(days=9)).due_in() == 0


def test_without_a_champion_there_is_no_schedule(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no 'champion' of 'ranker'"):
        schedule(Registry.open(tmp_path), timedelta(0)).due_in()


async def test_a_run_that_is_due_happens_and_not_again_before_the_pause(registry: Registry, tmp_path: Path) -> None:
    log = tmp_path / "runs"
    run = [sys.executable, "-S", "-c", f"open({str(log)!r}, 'a').write('x')"]
    async with following(schedule(registry, timedelta(days=2)), run, retry_s=3600):
        await until(lambda: written(log) == "x")
    assert log.read_text() == "x"


async def test_a_failed_run_is_tried_again(registry: Registry, tmp_path: Path) -> None:
    log = tmp_path / "runs"
    run = [sys.executable, "-S", "-c", f"open({str(log)!r}, 'a').write('x'); raise SystemExit(3)"]
    async with following(schedule(registry, timedelta(days=2)), run, retry_s=0.01):
        await until(lambda: len(written(log)) >= 3)


async def test_a_run_ends_with_the_service(registry: Registry, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"import os, signal; open({str(told)!r}, 'w').write(str(os.getpid())); signal.pause()"
    run = [sys.executable, "-S", "-c", code]
    async with following(schedule(registry, timedelta(days=2)), run, retry_s=3600):
        await until(lambda: bool(written(told)))
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_a_run_trains_what_the_settings_name(tmp_path: Path) -> None:
    settings = TrainerSettings(data_dir=tmp_path, dataset="ml-100k", registry_url="http://mlflow:5000")
    arguments = command(settings)[1:]
    assert arguments[:3] == ["-m", "services.trainer", "train"]
    assert dict(zip(arguments[3::2], arguments[4::2], strict=True)) == {
        "--data-dir": str(tmp_path), "--dataset": "ml-100k", "--registry-url": "http://mlflow:5000"
    }  # fmt: skip
