"""A network that learns from clicks: the champion's weights, put on the scale of clicks, trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.dlrm import Dlrm, DlrmConfig
from models.rows import LabelledRows, RowLayout
from models.spec import POSITION_COLUMN
from services.trainer.learning.calibration import Curve
from services.trainer.learning.config import LearnConfig
from services.trainer.ranking_dlrm import fit_dlrm

_ROWS_AT_ONCE = 16_384


def continue_network(
    network: Dlrm,
    layout: RowLayout,
    shape: DlrmConfig,
    train: LabelledRows,
    valid: LabelledRows,
    start: Curve,
    config: LearnConfig,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> Dlrm:
    """The best on `valid` of `network` on the scale of `start` and what it becomes after each epoch from there."""
    hyper = replace(
        shape,
        objective="binary",
        epochs=config.epochs,
        learning_rate=config.network_rate,
        batch_rows=config.batch_rows,
        patience=4,
        threads=config.threads,
    )
    return fit_dlrm(train, valid, layout, hyper, seed, on_step, start=_moved(network, start))


def forget_places(network: Dlrm, layout: RowLayout) -> None:
    """Lets the place say nothing: a full training sees no place but the top, and leaves its weights to chance."""
    with torch.no_grad():
        _first_layer(network).weight[:, layout.numeric_columns.index(POSITION_COLUMN)] = 0.0


def scores_of(network: Dlrm, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(M,) raw scores of (M, F) rows."""
    with torch.inference_mode():
        parts = [network.eval()(part).squeeze(1) for part in torch.split(torch.from_numpy(features), _ROWS_AT_ONCE)]
    scores: NDArray[np.float32] = torch.cat(parts).numpy()
    return scores


def _moved(network: Dlrm, start: Curve) -> dict[str, Tensor]:
    """Weights of the network whose scores are slope * score + intercept."""
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    last = f"top.{len(network.top) - 1}"
    weights[f"{last}.weight"] *= start.slope
    weights[f"{last}.bias"] = weights[f"{last}.bias"] * start.slope + start.intercept
    return weights


def _first_layer(network: Dlrm) -> nn.Linear:
    layer = network.bottom[0]
    assert isinstance(layer, nn.Linear)
    return layer
