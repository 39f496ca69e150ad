from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import nn

from services.trainer import training_loop
from services.trainer.checkpoints import Checkpoint
from services.trainer.training_loop import Progress
from tests.trainer.small_fits import NETWORK, TOWERS, network, towers

Fitted = TypeVar("Fitted")


class Stopped(Exception):
    """The fit was interrupted."""


def stop_after(steps: int) -> Progress:
    """Interrupts the fit after so many steps from where it began."""
    left = iter(range(steps - 1, -1, -1))

    def stop(_done: int, _planned: int) -> None:
        if not next(left):
            raise Stopped

    return stop


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for (name, value), same in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(value, same), name


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the state after every step."""
    monkeypatch.setattr(training_loop, "SAVE_EVERY_S", -1.0)


def fit_in_pieces(fit: Callable[[Path, Progress], Fitted], path: Path, steps: int) -> tuple[Fitted, int]:
    """The model after as many interruptions as it takes, and how many those were."""
    for interruptions in range(100):
        try:
            return fit(path, stop_after(steps)), interruptions
        except Stopped:
            continue
    raise AssertionError("The fit never ended.")


@pytest.mark.usefixtures("every_step")
def test_towers_interrupted_after_every_step_end_with_the_weights_and_metrics_of_one_go(tmp_path: Path) -> None:
    (resumed, metrics), interruptions = fit_in_pieces(towers, tmp_path / "towers", 1)
    whole, told = towers()
    assert interruptions > 3 * TOWERS.epochs
    assert_same(resumed, whole)
    assert metrics == told


@pytest.mark.usefixtures("every_step")
def test_a_network_interrupted_after_every_second_step_ends_with_the_weights_of_one_go(tmp_path: Path) -> None:
    resumed, interruptions = fit_in_pieces(network, tmp_path / "network", 2)
    assert interruptions > NETWORK.epochs
    assert_same(resumed, network())


def test_an_epoch_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    seen: list[int] = []
    towers(progress=lambda done, _: seen.append(done))
    per_epoch = len(seen) // TOWERS.epochs
    with pytest.raises(Stopped):
        towers(tmp_path / "towers", stop_after(2 * per_epoch))
    again: list[int] = []
    towers(tmp_path / "towers", lambda done, _: again.append(done))
    assert 1 < again[0] <= 2 * per_epoch
    finished: list[int] = []
    towers(tmp_path / "towers", lambda done, _: finished.append(done))
    assert finished == []


@pytest.mark.usefixtures("every_step")
def test_a_fit_that_was_killed_goes_on_in_another_process_to_the_same_weights(tmp_path: Path) -> None:
    path = tmp_path / "towers"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.trainer.small_fits", str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            reached = next(line for line in child.stdout if int(line) >= 5)
        finally:
            child.kill()
        assert child.wait(30) == -signal.SIGKILL
    steps: list[int] = []
    resumed, metrics = towers(path, lambda done, _: steps.append(done))
    assert steps[0] > int(reached)
    whole, told = towers()
    assert_same(resumed, whole)
    assert metrics == told


@pytest.mark.usefixtures("every_step")
def test_a_checkpoint_of_another_seed_or_configuration_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "towers"
    with pytest.raises(Stopped):
        towers(path, stop_after(5))
    kept = path.read_bytes()
    other = replace(TOWERS, temperature=0.1)
    for seed, config in ((1, TOWERS), (0, other)):
        path.write_bytes(kept)
        assert_same(towers(path, seed=seed, config=config)[0], towers(seed=seed, config=config)[0])


@pytest.mark.usefixtures("every_step")
def test_a_torn_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "network"
    with pytest.raises(Stopped):
        network(path, stop_after(5))
    for size in (0, 7, path.stat().st_size - 1):
        path.write_bytes(path.read_bytes()[:size])
        assert Checkpoint(path, "any").read() is None
        assert_same(network(path), network())
