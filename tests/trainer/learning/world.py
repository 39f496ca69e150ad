"""Clicks from a known relevance and a known examination curve, on slates that a champion ordered."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.dcn_v2 import DcnV2Config
from models.dlrm import DlrmConfig
from models.lambdamart import LambdaMartConfig
from models.list_fit import ListFitConfig
from models.mmoe import MmoeConfig
from models.ranking import OnnxRanker, load_ranker
from models.rows import REACTIONS, LabelledRows
from models.spec import POSITION_COLUMN, FeatureSpec
from services.trainer.examples.examples import CLICKED, Examples
from services.trainer.kinds import Kind
from services.trainer.ranking import NetworkConfig, RankerConfig, fit_ranker
from services.trainer.ranking_dataset import RankingDataset
from tests.models.small_catalog import catalog, spec

SLATE = 10
POOL = 30
"""Candidates a slate is chosen from."""
FIT = ListFitConfig(epochs=4, batch_rows=1024)
HEADS = ("click", "like", "love", "return")
CHAMPIONS: dict[Kind, RankerConfig] = {
    "lambdamart": LambdaMartConfig(trees=40, leaves=15, min_rows_in_leaf=20),
    "dlrm": DlrmConfig(width=4, bottom=(16,), top=(16,), epochs=4, batch_rows=1024),
    "dcn_v2": NetworkConfig(DcnV2Config(embedding=2, rank=4, deep=(16,)), FIT),
    "mmoe": NetworkConfig(MmoeConfig(HEADS, (1.0, 0.0, 0.0, 0.0), embedding=2, experts=4, expert=(16,)), FIT),
}


@cache
def small_spec() -> FeatureSpec:
    return spec(catalog())


def pool_rows(random: np.random.Generator, rows: int) -> NDArray[np.float32]:
    """(rows, F) normal numbers in the numeric columns; the place is the top, all indices are unknown."""
    of = small_spec()
    features = np.zeros((rows, len(of.columns)), np.float32)
    numeric = of.columns.index(POSITION_COLUMN)
    features[:, :numeric] = random.normal(size=(rows, numeric))
    return features


def once(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """(M,) what users wanted when the champion was trained."""
    return (1.0 * features[:, 0] + 0.7 * features[:, 1]).astype(np.float64)


def wanted(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """(M,) logit of a click on an item that is looked at: column 0 matters no more, 2 and 3 do."""
    return (0.7 * features[:, 1] + 0.9 * features[:, 2] * (features[:, 3] > 0) - 1.8).astype(np.float64)


def champion(kind: Kind, folder: Path, seed: int = 0, queries: int = 400) -> OnnxRanker:
    """A ranker of what users wanted once, as a full training leaves it in `folder`."""
    random = np.random.default_rng(seed)
    features = pool_rows(random, queries * POOL)
    noisy = (once(features) + random.gumbel(size=features.shape[0])).reshape(queries, POOL)
    labels = (np.arange(POOL) == noisy.argmax(axis=1)[:, None]).astype(np.float32).reshape(-1)
    reactions = np.where(labels[:, None] > 0, features[:, 4 : 4 + len(REACTIONS)] > 0, np.nan).astype(np.float32)
    sizes = np.full(queries, POOL, np.int64)
    rows = LabelledRows(features, labels, np.ones(labels.size, np.float32), sizes, reactions)
    dataset = RankingDataset(small_spec().with_normalizer(features), rows)
    fit_ranker(kind, dataset, folder, seed, config=CHAMPIONS[kind])
    return load_ranker(folder)


def shown(ranker: OnnxRanker, slates: int, seed: int, eta: float = 1.0) -> Examples:
    """The champion's best SLATE of POOL candidates, place k looked at with probability k ** -eta, clicked if wanted."""
    random = np.random.default_rng(seed)
    pools = pool_rows(random, slates * POOL)
    order = np.argsort(-ranker.score(pools).reshape(slates, POOL), axis=1, kind="stable")[:, :SLATE]
    features = pools[(order + POOL * np.arange(slates)[:, None]).reshape(-1)]
    positions = np.tile(np.arange(1, SLATE + 1), slates)
    chance = positions ** float(-eta) / (1 + np.exp(-wanted(features)))
    rows = positions.size
    return Examples(
        columns=ranker.spec.columns,
        features=features,
        labels=np.where(random.random(rows) < chance, CLICKED, 0.0).astype(np.float32),
        user_ids=np.repeat(np.arange(slates, dtype=np.uint64), SLATE),
        item_ids=np.arange(rows, dtype=np.uint64),
        times_us=np.repeat(np.arange(slates, dtype=np.int64), SLATE) * 1_000_000,
        positions=positions.astype(np.int64),
        propensities=np.ones(rows, np.float32),
        slots=np.full(rows, "ranked"),
        arms=np.full(rows, "champion"),
        group_sizes=np.full(slates, SLATE, np.int64),
        recommendation_ids=np.array([f"r{slate}" for slate in range(slates)]),
    )


def share_of_best(ranker: OnnxRanker, seed: int = 99, pools: int = 400) -> float:
    """Expected clicks on the ranker's best SLATE of POOL, all looked at, as a share of the best possible."""
    features = pool_rows(np.random.default_rng(seed), pools * POOL)
    gain = (1 / (1 + np.exp(-wanted(features)))).reshape(pools, POOL)
    order = np.argsort(-ranker.score(features).reshape(pools, POOL), axis=1)[:, :SLATE]
    discount = 1 / np.log2(np.arange(2, SLATE + 2))
    ours = (np.take_along_axis(gain, order, axis=1) * discount).sum()
    return float(ours / (-np.sort(-gain, axis=1)[:, :SLATE] * discount).sum())
