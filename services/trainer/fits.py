"""A torch fit where it is to run: in this process, or shared by several that torchrun starts for it.

The trainer itself stays one process: it alone reads the lake, shows progress and publishes. What a shared fit needs is
written to a folder, `torchrun -m services.trainer.fit_process <folder>` fits, and the weights come back. Progress comes
as lines through a pipe, which is the leash too: when the trainer dies, the next line ends the fit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import Tensor

from models.list_fit import ListFitConfig
from models.networks import Network, Shape, build
from models.rows import LabelledRows, RowLayout
from models.two_tower import TwoTower, TwoTowerConfig
from services.runtime.errors import CascadeError
from services.trainer.compute import Compute, Resources
from services.trainer.fit_request import ListRequest, Request, TowerRequest, read_answer
from services.trainer.ranking_lists import fit_lists
from services.trainer.tower_fit import TowerData, TowerFitConfig, fit_tower
from services.trainer.training_loop import PROGRESS_LINE, Progress

_TORCHRUN_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "MASTER_ADDR",
                       "MASTER_PORT")  # fmt: skip
_END_S = 30.0


def tower_on(
    resources: Resources,
    data: TowerData,
    shape: TwoTowerConfig,
    config: TowerFitConfig,
    seed: int,
    warm_start: Callable[[TwoTower], None] | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[TwoTower, dict[str, float]]:
    """fit_tower with these resources. Raises CascadeError when one of several processes fails."""
    if resources.processes == 1:
        compute = Compute.detect(resources.device)
        return fit_tower(data, shape, config, seed, warm_start, progress, compute=compute, checkpoint=checkpoint)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        towers = TwoTower(data.inputs, data.content, shape)
    start = None
    if warm_start is not None:
        warm_start(towers)
        start = towers.state_dict()
    request = TowerRequest(resources.device, seed, checkpoint, start, data, shape, config)
    weights, metrics = _shared(request, resources, progress)
    towers.load_state_dict(weights)
    return towers.eval(), metrics


def lists_on(
    resources: Resources,
    train: LabelledRows,
    held_out: LabelledRows,
    layout: RowLayout,
    shape: Shape,
    config: ListFitConfig,
    seed: int,
    on_step: Progress | None = None,
    start: Mapping[str, Tensor] | None = None,
    checkpoint: Path | None = None,
) -> Network:
    """fit_lists with these resources. Raises CascadeError when one of several processes fails."""
    if resources.processes == 1:
        compute = Compute.detect(resources.device)
        return fit_lists(
            train, held_out, layout, shape, config, seed, on_step, start=start, compute=compute, checkpoint=checkpoint
        )
    with torch.random.fork_rng(devices=[]):
        model = build(layout, shape)
    request = ListRequest(resources.device, seed, checkpoint, start, train, held_out, layout, shape, config)
    model.load_state_dict(_shared(request, resources, on_step)[0])
    return model.eval()


def _shared(
    request: Request, resources: Resources, progress: Progress | None
) -> tuple[dict[str, Tensor], dict[str, float]]:
    resources.check()
    folder = _folder(request.checkpoint)
    try:
        request.write(folder)
        with _torchrun(folder, resources.processes) as lines:
            for line in lines:
                if line.startswith(PROGRESS_LINE) and progress is not None:
                    done, planned = line.removeprefix(PROGRESS_LINE).split()
                    progress(int(done), int(planned))
        return read_answer(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(checkpoint: Path | None) -> Path:
    """An empty one; beside the checkpoint, where a killed fit leaves what the next one clears away."""
    if checkpoint is None:
        return Path(mkdtemp(prefix="cascade-fit-"))
    folder = checkpoint.with_name(f"{checkpoint.name}.shared")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def _torchrun(folder: Path, processes: int) -> Iterator[Iterator[str]]:
    """The lines that the fit prints, until it is over; leaving early ends it."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
        "-m", "services.trainer.fit_process", str(folder),
    ]  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name not in _TORCHRUN_VARIABLES}
    # torchrun would say so on every start: each process is told its threads by the fit's configuration.
    env.setdefault("OMP_NUM_THREADS", "1")
    errors = folder / "stderr"
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=env, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield process.stdout
            code = process.wait(_END_S)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_END_S)
                except subprocess.TimeoutExpired:
                    process.kill()
    if code:
        raise CascadeError(f"A process of the shared fit failed ({code}): {_reason(errors)}")


def _reason(errors: Path) -> str:
    """The last line that names an exception, which torchrun's own report follows."""
    lines = errors.read_text(errors="replace").splitlines()
    named = [line for line in lines if "Error: " in line and "ChildFailedError" not in line]
    return (named or lines or ["it said nothing."])[-1].strip()
