"""kill -9 at any moment: the registry stays whole, and the next run goes on where the killed one was."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import numpy as np
import pytest

from services.runtime.registry import CHAMPION, Registry
from services.trainer.progress import Steps
from services.trainer.runs.folder import Runs
from services.trainer.runs.learn import learn
from tests.trainer.runs import world

KILLED_AT = ("examples", "ranker", "gate", *["publish"] * 7)
"""Each stage of such a run once; then the moments that matter most: while versions are registered and aliases move."""
DEADLINE = 60.0
MODELS = ("ranker", "two_tower", "co_visitation", "popularity", "ease")


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that have imported everything: a kill hits the run, not its imports."""
    context = multiprocessing.get_context("forkserver")
    stores = [f"mlflow.store.{kind}.sqlalchemy_store" for kind in ("tracking", "model_registry")]
    context.set_forkserver_preload([__name__, *stores])
    return context


def learn_quietly(data_dir: Path) -> None:
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        learn(replace(world.plan(data_dir), promote=True), Steps())


def started(context: ForkServerContext, data_dir: Path) -> ForkServerProcess:
    """A run in another process that has written that it works."""
    process = context.Process(target=learn_quietly, args=(data_dir,))
    process.start()
    runs = Runs(data_dir)
    until(lambda: process.exitcode is not None or any(run.pid == process.pid for run in runs.recent()))
    return process


def until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.002)


def at(stage: str, process: ForkServerProcess, runs: Runs) -> bool:
    """Whether the run is at a stage, or through."""
    return process.exitcode is not None or runs.recent()[0].stage == stage


def registry_is_whole(registry: Registry) -> None:
    """Everything that is registered verifies, and somebody serves."""
    for name in MODELS:
        assert registry.resolve(name, CHAMPION)
        for version in registry.versions(name):
            registry.resolve(name, version.version)


def test_runs_that_are_killed_leave_the_registry_whole_and_are_gone_on_with(
    processes: ForkServerContext, data_dir: Path
) -> None:
    registry, runs, random = Registry.open(data_dir), Runs(data_dir), np.random.default_rng(0)
    killed: list[tuple[str, str]] = []
    finished: list[str] = []
    while len(killed) < len(KILLED_AT) or not finished:
        process = started(processes, data_dir)
        if len(killed) < len(KILLED_AT):
            stage = KILLED_AT[len(killed)]
            until(partial(at, stage, process, runs))
            process.join(float(random.uniform(0, 0.3 if stage == "publish" else 0.05)))
            process.kill()
        process.join(DEADLINE)
        assert process.exitcode in (0, -signal.SIGKILL), runs.recent()[0]
        registry_is_whole(registry)
        newest = runs.recent()[0]
        if newest.state == "running":
            killed.append((newest.run_id, newest.stage))
        else:
            assert newest.state == "published", newest
            assert registry.version_of("ranker") == newest.versions["ranker"], newest
            finished.append(newest.run_id)
            world.show_more(data_dir, len(finished))
    assert len(set(finished)) == len(finished)
    assert len({stage for _, stage in killed}) > 1
    assert len({run for run, _ in killed}) < len(KILLED_AT)  # some were killed, gone on with, and killed again
