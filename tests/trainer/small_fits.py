"""Fits of seconds that shuffle, drop out and stop early like the real ones.

python -m tests.trainer.small_fits <checkpoint> fits the towers, keeps their state after every step, and prints steps.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from models.dlrm import DlrmConfig
from models.networks import Network
from models.rows import LabelledRows
from models.spec import FeatureSpec
from models.two_tower import TwoTower, TwoTowerConfig
from services.trainer import training_loop
from services.trainer.compute import Compute
from services.trainer.ranking_lists import fit_lists
from services.trainer.retrieval_models import tower_data
from services.trainer.tower_fit import TowerData, TowerFitConfig, fit_tower
from services.trainer.training_loop import Progress
from tests.models.small_catalog import catalog, separable_rows, spec
from tests.trainer.small_interactions import ring

CPU = Compute(torch.device("cpu"))
SHAPE = TwoTowerConfig(width=16)
TOWERS = TowerFitConfig(epochs=4, batch_windows=16, negatives=32, warm_up=5, bf16=False, threads=1)
NETWORK = DlrmConfig(width=4, bottom=(8,), top=(8,), epochs=3, batch_rows=240, learning_rate=1e-3, threads=1)


def towers_data() -> TowerData:
    """Sixty users on a ring."""
    return tower_data(ring(60))


def towers(
    checkpoint: Path | None = None, progress: Progress | None = None, seed: int = 0, config: TowerFitConfig = TOWERS
) -> tuple[TwoTower, dict[str, float]]:
    """Four epochs on one CPU."""
    return fit_tower(towers_data(), SHAPE, config, seed, progress=progress, compute=CPU, checkpoint=checkpoint)


def ranking_rows() -> tuple[LabelledRows, LabelledRows, FeatureSpec]:
    """(training, held out) queries whose best row a network can find, and what their columns mean."""
    items = catalog()
    rows = separable_rows(spec(items), items)
    cut = rows.group_sizes.size // 5
    held_out = torch.arange(rows.group_sizes.size).numpy() < cut
    return rows.of_queries(~held_out), rows.of_queries(held_out), spec(items).with_normalizer(rows.features)


def network(checkpoint: Path | None = None, progress: Progress | None = None, seed: int = 0) -> Network:
    """Three epochs on one CPU."""
    train, held_out, layout = ranking_rows()
    return fit_lists(train, held_out, layout, NETWORK, NETWORK, seed, progress, compute=CPU, checkpoint=checkpoint)


if __name__ == "__main__":
    training_loop.SAVE_EVERY_S = 0.0
    towers(Path(sys.argv[1]), lambda done, _: print(done, flush=True))
