"""A network that learns from clicks: the champion's weights, put on the scale of clicks, trained on.

Clicks say nothing of the other heads of a network, which would follow the experts wherever clicks draw them. So those
heads are taught what the champion says of the same rows (Li and Hoiem, "Learning without Forgetting", ECCV 2016).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.dcn_v2 import DcnV2, FullCross, LowRankCross
from models.dlrm import Dlrm
from models.list_fit import ListFitConfig
from models.mmoe import Mmoe, MmoeConfig
from models.networks import Network, Shape
from models.rows import REACTIONS, LabelledRows, RowLayout
from models.spec import POSITION_COLUMN
from services.trainer.learning.calibration import Curve
from services.trainer.learning.config import LearnConfig
from services.trainer.ranking_heads import logits_of
from services.trainer.ranking_lists import fit_lists


def list_fit(full: Mapping[str, Any], config: LearnConfig) -> ListFitConfig:
    """The fit on clicks of a network whose full training was configured by `full`, as its manifest tells."""
    return ListFitConfig(
        objective="binary",
        epochs=config.epochs,
        learning_rate=config.network_rate,
        batch_rows=config.batch_rows,
        weight_decay=float(full.get("weight_decay", ListFitConfig().weight_decay)),
        patience=4,
        threads=config.threads,
    )


def continue_network(
    network: Network,
    layout: RowLayout,
    shape: Shape,
    fit: ListFitConfig,
    train: LabelledRows,
    valid: LabelledRows,
    start: Curve,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> Network:
    """The best on `valid` of `network` on the scale of `start` and what it becomes after each epoch from there."""
    if isinstance(shape, MmoeConfig):
        train, valid = (_with_reactions(rows, network, shape) for rows in (train, valid))
    return fit_lists(train, valid, layout, shape, fit, seed, on_step, start=_moved(network, start))


def forget_places(network: Network, layout: RowLayout) -> None:
    """Lets the place say nothing: a full training sees no place but the top, and leaves its weights to chance."""
    place = layout.numeric_columns.index(POSITION_COLUMN)
    with torch.no_grad():
        for weights, axis in _readers(network):
            weights.select(axis, place).zero_()


def scores_of(network: Network, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(M,) raw scores of (M, F) rows; of a network with heads the click's."""
    return logits_of(network, features)[:, 0]


def _with_reactions(rows: LabelledRows, network: Network, shape: MmoeConfig) -> LabelledRows:
    """The rows with what the network says of every reaction it has a head for, as a probability."""
    reactions = np.full((len(rows), len(REACTIONS)), np.nan, np.float32)
    logits = logits_of(network, rows.features)
    for place, head in enumerate(shape.heads[1:], 1):
        reactions[:, REACTIONS.index(head)] = 0.5 * (1 + np.tanh(logits[:, place] / 2))
    return replace(rows, reactions=reactions)


def _moved(network: Network, start: Curve) -> dict[str, Tensor]:
    """Weights of the network whose scores are slope * score + intercept."""
    moved = copy.deepcopy(network)
    last = _layer(moved.towers[0] if isinstance(moved, Mmoe) else moved.top, -1)
    with torch.no_grad():
        last.weight.mul_(start.slope)
        last.bias.mul_(start.slope).add_(start.intercept)
    return moved.state_dict()


def _readers(network: Network) -> Iterator[tuple[Tensor, int]]:
    """Every weight that reads the numeric columns, and its axis of inputs."""
    if isinstance(network, Dlrm):
        yield _layer(network.bottom, 0).weight, 1
    elif isinstance(network, DcnV2):
        yield _layer(network.deep, 0).weight, 1
        # A cross layer passes its input on: the layers above read it as well.
        yield network.top.weight, 1
        for cross in network.crosses:
            if isinstance(cross, LowRankCross):
                yield cross.down, 1
                yield cross.gate.weight, 1
            elif isinstance(cross, FullCross):
                yield cross.linear.weight, 1
    else:
        for module in (*network.experts, *network.gates):
            yield _layer(module, 0).weight, 1


def _layer(module: nn.Module, place: int) -> nn.Linear:
    """The first (0) or last (-1) linear layer of a stack, however deep it is nested."""
    return [inner for inner in module.modules() if isinstance(inner, nn.Linear)][place]
