"""Every ranker under P2 behind one face: data in, logits of the heads out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from models.dcn_v2 import DcnV2, DcnV2Config
from models.dlrm import DlrmConfig
from models.lambdamart import LambdaMartConfig, fit_trees
from models.mmoe import Mmoe, MmoeConfig
from models.rlfm import RlfmConfig
from services.trainer.p2.data import P2Data
from services.trainer.p2.heads import HEADS
from services.trainer.ranking_heads import HeadsFitConfig, fit_heads, logits_of
from services.trainer.ranking_lists import fit_lists

Logits = NDArray[np.float32] | NDArray[np.float64]
StepProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class P2Config:
    """What is fitted under P2, and how long."""

    latent: RlfmConfig = field(default_factory=RlfmConfig)
    trees: LambdaMartConfig = field(
        default_factory=lambda: LambdaMartConfig("binary", trees=400, min_rows_in_leaf=100, feature_fraction=0.6)
    )
    dlrm: DlrmConfig = field(default_factory=lambda: DlrmConfig(objective="binary", epochs=3, batch_rows=4096))
    dcn_v2: DcnV2Config = field(default_factory=DcnV2Config)
    mmoe: MmoeConfig = field(default_factory=lambda: MmoeConfig(HEADS, (1.0, 0.0, 0.0)))
    """Its heads are some of HEADS."""
    heads: HeadsFitConfig = field(default_factory=HeadsFitConfig)
    """The fit of DCN-v2, of MMoE and of the models with a single head."""

    @classmethod
    def quick(cls) -> P2Config:
        """Smaller models and fewer rounds."""
        full = cls()
        return replace(
            full,
            latent=RlfmConfig(width=8, sweeps=8),
            trees=replace(full.trees, trees=80, learning_rate=0.2),
            dlrm=replace(full.dlrm, epochs=1),
            heads=replace(full.heads, epochs=1),
        )


@dataclass(frozen=True, slots=True)
class Scorer:
    """One model."""

    heads: tuple[str, ...]
    fit: Callable[[P2Data, int, StepProgress], Logits]
    """(T, H) logits of the events from fit_end on, by a model that seed and the events before determine."""


def scorers(config: P2Config) -> Mapping[str, Scorer]:
    """By name: the rankers of the like head, MMoE, and for each of its heads a model that has this head alone."""
    mmoe = config.mmoe
    alone = {
        f"single task, {head}": Scorer((head,), _mmoe(replace(mmoe, heads=(head,), value=(1.0,)), config.heads))
        for head in mmoe.heads
    }
    return {
        "lambdamart": Scorer(("like",), lambda data, seed, step: _trees(data, config.trees, seed, step)),
        "dlrm": Scorer(("like",), lambda data, seed, step: _dlrm(data, config.dlrm, seed, step)),
        "dcn_v2": Scorer(("like",), _dcn_v2(config.dcn_v2, config.heads)),
        "mmoe": Scorer(mmoe.heads, _mmoe(mmoe, config.heads)),
        **alone,
    }


def _trees(data: P2Data, config: LambdaMartConfig, seed: int, on_tree: StepProgress) -> Logits:
    # Indices of a vocabulary have no order that a tree could split on.
    numeric = len(data.columns.numeric_columns)
    train = data.like_rows(data.begin, data.fit_end, numeric)
    booster = fit_trees(train, data.like_rows(data.fit_end, data.tune_end, numeric), config, seed, on_tree)
    scores = booster.predict(data.features[data.fit_end :, :numeric], raw_score=True)
    return np.asarray(scores, np.float64)[:, None]


def _dlrm(data: P2Data, config: DlrmConfig, seed: int, on_step: StepProgress) -> Logits:
    train, held_out = data.like_rows(data.begin, data.fit_end), data.like_rows(data.fit_end, data.tune_end)
    return logits_of(
        fit_lists(train, held_out, data.columns, config, config, seed, on_step), data.features[data.fit_end :]
    )  # fmt: skip


def _dcn_v2(shape: DcnV2Config, fit: HeadsFitConfig) -> Callable[[P2Data, int, StepProgress], Logits]:
    return lambda data, seed, step: _network(data, lambda: DcnV2(data.columns, shape), ("like",), fit, seed, step)


def _mmoe(shape: MmoeConfig, fit: HeadsFitConfig) -> Callable[[P2Data, int, StepProgress], Logits]:
    return lambda data, seed, step: _network(data, lambda: Mmoe(data.columns, shape), shape.heads, fit, seed, step)


def _network(
    data: P2Data,
    build: Callable[[], nn.Module],
    heads: tuple[str, ...],
    config: HeadsFitConfig,
    seed: int,
    on_step: StepProgress,
) -> Logits:
    train, held_out = (
        data.head_rows(begin, end, heads) for begin, end in ((data.begin, data.fit_end), (data.fit_end, data.tune_end))
    )
    return logits_of(fit_heads(build, train, held_out, config, seed, on_step), data.features[data.fit_end :])
