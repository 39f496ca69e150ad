"""Rankers that are one formula, as real artifacts, and the clicks of people who follow another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.artifact import Manifest, seal, writing
from models.ranking import MODEL_FILE
from models.spec import FeatureSpec
from services.trainer.examples.examples import Examples
from tests.models.small_catalog import catalog, spec

SPEC = spec(catalog())
SLATE = 10
CHAMPION = {"two_tower": 1.0}
TRUTH = {"two_tower": 1.0, "co_visitation": 1.5}
"""What people like: the champion sees only a part of it."""


def write_ranker(
    folder: Path,
    weights: Mapping[str, float],
    *,
    flipped_below: tuple[str, float] | None = None,
    unknown_is_zero: bool = True,
) -> Path:
    """score = sum of weight * column, an unknown column counting 0; negated where a column is below a threshold."""
    columns = SPEC.columns
    vector = np.array([[weights.get(name, 0.0)] for name in columns], np.float32)
    constants = [numpy_helper.from_array(vector, "weights"), numpy_helper.from_array(np.zeros((), np.float32), "zero")]
    nodes = [
        helper.make_node("IsNaN", ["features"], ["unknown"]),
        helper.make_node("Where", ["unknown", "zero", "features"], ["known"]),
        helper.make_node(
            "MatMul",
            ["known" if unknown_is_zero else "features", "weights"],
            ["scores" if flipped_below is None else "plain"],
        ),
    ]
    if flipped_below is not None:
        place = np.array([columns.index(flipped_below[0])], np.int64)
        constants += [
            numpy_helper.from_array(place, "place"),
            numpy_helper.from_array(np.array(flipped_below[1], np.float32), "threshold"),
        ]
        nodes += [
            helper.make_node("Gather", ["features", "place"], ["column"], axis=1),
            helper.make_node("Less", ["column", "threshold"], ["below"]),
            helper.make_node("Neg", ["plain"], ["negated"]),
            helper.make_node("Where", ["below", "negated", "plain"], ["scores"]),
        ]
    graph = helper.make_graph(
        nodes,
        "formula",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", len(columns)])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with writing(folder) as draft:
        onnx.save(model, draft / MODEL_FILE)
        seal(draft, Manifest("ranker", "formula", spec=SPEC.to_json()))
    return folder


@dataclass(frozen=True, slots=True)
class Crowd:
    """People who click on what TRUTH ranks high, when they look at it."""

    users: int = 120
    slates_each: int = 5
    theta: NDArray[np.float64] | None = None
    """(SLATE,) how much each place is looked at; None for all of them alike."""
    newcomers: float = 0.5
    """Share of people whom nobody knows yet."""
    share: float = 0.2
    """About so many items are clicked."""

    def examples(self, seed: int = 0, features: FeatureSpec = SPEC) -> Examples:
        """Slates in the champion's order, the newest last, users in turn."""
        random = np.random.default_rng(seed)
        slates = self.users * self.slates_each
        rows = slates * SLATE
        columns = {name: random.normal(size=rows) for name in features.columns}
        user = np.tile(np.arange(self.users), self.slates_each)
        columns["log_seen_count"] = np.repeat(
            np.where(user < self.newcomers * self.users, np.log1p(2), np.log1p(40)), SLATE
        )
        columns["genre_1"] = random.integers(0, len(features.genre_vocabulary) + 1, rows).astype(float)
        columns["log_position"] = np.zeros(rows)
        order = np.argsort(-columns["two_tower"].reshape(slates, SLATE), axis=1) + SLATE * np.arange(slates)[:, None]
        table = np.stack(list(columns.values()), axis=1)[order.reshape(-1)].astype(np.float32)
        liking = sum(table[:, features.columns.index(name)] * weight for name, weight in TRUTH.items())
        chance = 1 / (1 + np.exp(-(liking + np.log(self.share / (1 - self.share)))))
        positions = np.tile(np.arange(1, SLATE + 1), slates)
        looked = 1.0 if self.theta is None else self.theta[positions - 1]
        return Examples(
            columns=features.columns,
            features=table,
            labels=(random.random(rows) < chance * looked).astype(np.float32),
            user_ids=np.repeat(user + 1, SLATE).astype(np.uint64),
            item_ids=np.arange(rows, dtype=np.uint64),
            times_us=np.repeat(np.arange(slates, dtype=np.int64), SLATE),
            positions=positions,
            propensities=np.ones(rows, np.float32),
            slots=np.full(rows, "ranked"),
            arms=np.full(rows, "champion"),
            group_sizes=np.full(slates, SLATE, np.int64),
            recommendation_ids=np.array([f"r-{slate}" for slate in range(slates)]),
        )
