"""What every arm starts from: a lake of first ratings, models trained on it, a filled online store; made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from loadtests.simulation.fitting import fit_world
from loadtests.simulation.settings import Simulation
from loadtests.simulation.split import Split, split
from loadtests.simulation.world import World
from services.ingest.bootstrap import fill_online_store
from services.runtime.errors import Unavailable
from services.trainer.data.lake import SNAPSHOT, fill
from services.trainer.data.movielens import read_movielens
from services.trainer.data.sources import fetch
from services.trainer.progress import TRAINED, Steps

COPY = ".arm-"
TEST_USERS = 300
"""Users on whom the base's models are measured when they are trained."""


def prepared(plan: Simulation, steps: Steps) -> World:
    """The world, and a trained base folder, made where they are missing. Minutes the first time."""
    if not plan.world_file.is_file() or not (plan.base / "lake" / SNAPSHOT).is_file():
        with steps.step(f"world: fitted on what {plan.dataset} holds beyond each user's first ratings"):
            parts = split(read_movielens(plan.dataset, fetch(plan.dataset, plan.data_dir / "raw")))
            fill_lake(plan.base / "lake", plan.dataset, parts)
            fit_world(parts).save(plan.world_file)
    return World.load(plan.world_file)


def fill_lake(lake: Path, dataset: str, parts: Split) -> None:
    """Gives the system the first ratings of each user and nothing else; a filled lake is left as it is."""
    if not (lake / SNAPSHOT).is_file():
        fill(lake, dataset, parts.seen, datetime.now(UTC))


def train_base(plan: Simulation, steps: Steps) -> None:
    """Trains on the base's lake and fills its online store, unless that was done. Unavailable when training fails."""
    if not (plan.base / TRAINED).is_file():
        steps.console.print(f"  … base: training on the first ratings, in {plan.base}")
        command = [sys.executable, "-m", "services.trainer", "train", "--data-dir", str(plan.base)]
        options = ["--dataset", plan.dataset, "--test-users", str(TEST_USERS)]
        done = subprocess.run([*command, *options], env=os.environ | {"CASCADE_DATA_DIR": str(plan.base)}, check=False)
        if done.returncode:
            raise Unavailable(f"The base could not be trained (status {done.returncode}); what it said is above.")
    with steps.step("base: online store filled"):
        fill_online_store(plan.base)


@contextmanager
def copied(base: Path) -> Iterator[Path]:
    """A copy of the base for one arm, gone after the block. Files that are never rewritten are linked, not copied."""
    _sweep(base.parent)
    with TemporaryDirectory(dir=base.parent, prefix=f"{COPY}{os.getpid()}-") as scratch:
        folder = Path(scratch) / "data"
        shutil.copytree(base, folder, copy_function=_copy, ignore=shutil.ignore_patterns("raw", "*.pid", "stack.json"))
        yield folder


def _sweep(folder: Path) -> None:
    """Removes copies that killed simulations left behind."""
    for left in folder.glob(f"{COPY}*-*"):
        if not psutil.pid_exists(int(left.name.removeprefix(COPY).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)


def _copy(source: str, target: str) -> None:
    # Sealed artifacts and Parquet files are only ever replaced by a rename; databases are written in place.
    if "artifacts" in Path(source).parts or source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)
