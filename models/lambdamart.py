"""Gradient-boosted trees for ranking: LightGBM fits them, ONNX Runtime serves them.

LambdaMART is Burges, "From RankNet to LambdaRank to LambdaMART: An Overview" (MSR-TR-2010-82): trees fitted to
gradients of NDCG. The same trees on log-loss give calibrated probabilities; `objective` chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import lightgbm
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from models.rows import LabelledRows

OnTree = Callable[[int, int], None]
Offsets = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class LambdaMartConfig:
    """Hyper-parameters of the trees."""

    objective: Literal["lambdarank", "binary"] = "lambdarank"
    """lambdarank orders within a query; binary predicts P(label > 0), the score is its logit."""
    trees: int = 220
    """At most; early stopping may keep fewer. Serving time grows with trees."""
    leaves: int = 31
    """Per tree."""
    learning_rate: float = 0.08
    """Shrinkage of each tree."""
    min_rows_in_leaf: int = 50
    """Fewest rows a leaf may stand on."""
    feature_fraction: float = 0.7
    """Share of the columns each tree may use."""
    row_fraction: float = 0.8
    """Share of the rows each tree sees."""
    l2: float = 5.0
    """Weight of the L2 penalty on leaf values."""
    truncation: int = 20
    """lambdarank: pairs count when one of the two stands within these first places."""
    patience: int = 25
    """Trees without a better validation result before fitting stops."""
    threads: int = 1
    """Threads of the fit. Two gain little at this size, and on a busy machine they wait for each other."""


def fit_trees(
    train: LabelledRows,
    held_out: LabelledRows,
    config: LambdaMartConfig,
    seed: int,
    on_tree: OnTree | None = None,
    offsets: Offsets | None = None,
) -> lightgbm.Booster:
    """Trees up to the best iteration on `held_out`. `on_tree(done, planned)` is told of progress.

    `offsets` are raw scores of the rows of `train` and of `held_out` that the trees start from and do not contain.
    """
    grouped = config.objective == "lambdarank"
    training = _dataset(train, grouped, None, offsets[0] if offsets else None)
    booster = lightgbm.train(
        _parameters(config, seed),
        training,
        num_boost_round=config.trees,
        valid_sets=[_dataset(held_out, grouped, training, offsets[1] if offsets else None)],
        callbacks=[lightgbm.early_stopping(config.patience, verbose=False), *_progress(config.trees, on_tree)],
    )
    # Cut what early stopping rejected: the text form, the ONNX form and predict() then agree by construction.
    return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))


def _parameters(config: LambdaMartConfig, seed: int) -> dict[str, Any]:
    ranking = {
        "metric": "ndcg",
        "eval_at": [10],
        "lambdarank_truncation_level": config.truncation,
        "label_gain": [2**grade - 1 for grade in range(8)],
    }
    return {
        "objective": config.objective,
        "num_leaves": config.leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": config.min_rows_in_leaf,
        "feature_fraction": config.feature_fraction,
        "bagging_fraction": config.row_fraction,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "num_threads": config.threads,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        **(ranking if config.objective == "lambdarank" else {"metric": "binary_logloss"}),
    }


def _dataset(
    rows: LabelledRows, grouped: bool, reference: lightgbm.Dataset | None, offsets: NDArray[np.float64] | None
) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        rows.features,
        rows.labels if grouped else (rows.labels > 0).astype(np.float32),
        weight=rows.weights,
        group=rows.group_sizes if grouped else None,
        init_score=offsets,
        reference=reference,
        free_raw_data=True,
    )


def _progress(planned: int, on_tree: OnTree | None) -> list[Callable[[Any], None]]:
    return [] if on_tree is None else [lambda environment: on_tree(environment.iteration + 1, planned)]


def to_onnx(booster: lightgbm.Booster, width: int) -> onnx.ModelProto:
    """The raw scores (before any sigmoid) of `booster` as one TreeEnsembleRegressor.

    Input `features` (N, width) float32: the columns the booster was fitted on are the first ones of the row. Equal to
    predict(raw_score=True) for float32 rows, NaN included: thresholds are rounded down to float32, and NaN takes the
    side that LightGBM sends it to.
    """
    nodes = _Nodes()
    for number, tree in enumerate(booster.dump_model()["tree_info"]):
        nodes.add_tree(number, tree["tree_structure"])
    ensemble = helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["scores"], domain="ai.onnx.ml", n_targets=1, **nodes.attributes()
    )
    graph = helper.make_graph(
        [ensemble],
        "lambdamart",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    return model


class _Nodes:
    """The flat node arrays of ONNX's tree ensembles."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, float, str, int, int, int]] = []
        self.leaves: list[tuple[int, int, float]] = []

    def add_tree(self, tree: int, root: dict[str, Any]) -> None:
        """Numbers the nodes of one dumped tree depth first."""
        self._add(tree, root, 0)

    def _add(self, tree: int, node: dict[str, Any], number: int) -> int:
        """Adds `node` under `number` and returns the next free number."""
        if "leaf_value" in node:
            self.rows.append((tree, number, 0, 0.0, "LEAF", 0, 0, 0))
            self.leaves.append((tree, number, float(node["leaf_value"])))
            return number + 1
        place = len(self.rows)
        self.rows.append((tree, number, 0, 0.0, "LEAF", 0, 0, 0))
        right = self._add(tree, node["left_child"], number + 1)
        after = self._add(tree, node["right_child"], right)
        threshold = _round_down(float(node["threshold"]))
        feature = int(node["split_feature"])
        self.rows[place] = (tree, number, feature, threshold, "BRANCH_LEQ", number + 1, right, _nan_goes_left(node))
        return after

    def attributes(self) -> dict[str, Any]:
        """Keyword arguments of TreeEnsembleRegressor."""
        trees, numbers, features, values, modes, lefts, rights, nan_left = zip(*self.rows, strict=True)
        leaf_trees, leaf_numbers, weights = zip(*self.leaves, strict=True)
        return {
            "nodes_treeids": trees,
            "nodes_nodeids": numbers,
            "nodes_featureids": features,
            "nodes_values": values,
            "nodes_modes": modes,
            "nodes_truenodeids": lefts,
            "nodes_falsenodeids": rights,
            "nodes_missing_value_tracks_true": nan_left,
            "target_treeids": leaf_trees,
            "target_nodeids": leaf_numbers,
            "target_ids": [0] * len(weights),
            "target_weights": weights,
        }


def _nan_goes_left(node: dict[str, Any]) -> int:
    # A split that met no NaN in training treats it as zero.
    return int(node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0)


def _round_down(threshold: float) -> float:
    rounded = np.float32(threshold)
    if float(rounded) > threshold:
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return rounded.item()
