"""A challenger from the champion and from examples.

    manifest = fit_challenger(train, valid, champion_folder, draft, LearnConfig(), seed=0, lineage={...})
    load_ranker(draft).score(rows)      # logits of P(click at the top)

The challenger has the champion's kind and spec, vocabularies and statistics included: the logged rows mean the same to
both. The same examples, champion, config and seed give the same bytes of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.torch import load_file

from models.artifact import Manifest, seal, verify, writing
from models.heads import Heads
from models.lambdamart import to_onnx
from models.networks import build, shape_from_json
from models.ranking import MODEL_FILE, OnnxRanker, load_ranker, open_session
from models.rows import LabelledRows
from models.spec import FeatureSpec
from services.trainer.examples.examples import Examples
from services.trainer.learning.calibration import Curve, fit_curve, log_losses
from services.trainer.learning.config import LearnConfig, Position
from services.trainer.learning.network import continue_network, forget_places, list_fit, scores_of
from services.trainer.learning.position import examination
from services.trainer.learning.rows import learning_rows, log_positions
from services.trainer.learning.trees import Forest, continue_trees
from services.trainer.ranking import TREES_FILE, WEIGHTS_FILE, first_columns, write_network

__all__ = ["LearnConfig", "Position", "fit_challenger"]

Progress = Callable[[int, int], None]
BASE_TREES = "base_trees"
"""Key of the manifest's config: how many of the trees a full training made."""


def fit_challenger(
    train: Examples,
    valid: Examples,
    champion: Path,
    out: Path,
    config: LearnConfig | None = None,
    *,
    seed: int = 0,
    lineage: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Fits a challenger and writes its artifact folder `out`, whole or not at all.

    Args:
        train: examples to learn from; their columns are those of the champion's spec.
        valid: later examples: they end the fit, and calibrate it.
        champion: artifact folder the fit starts from.
        progress: told of (done, planned) as the fit goes on.

    Raises ValueError when there is no click in `train`, or when the columns are not the champion's. DamagedArtifact
    when the champion cannot be loaded.
    """
    config = config or LearnConfig()
    sealed, ranker = verify(champion), load_ranker(champion)
    _check(train, valid, ranker.spec)
    known = ranker.score(valid.features)
    task = _task(train, valid, ranker, config, seed, progress)
    with writing(out) as draft:
        write = _write_trees if sealed.kind == "lambdamart" else _write_network
        made = write(draft, champion, sealed, task)
        described = {**sealed.config, **made}
        challenger = OnnxRanker(open_session(draft / MODEL_FILE), sealed.kind, ranker.spec, Heads.of(described))
        calibration, metrics = _on_valid(challenger.score(valid.features), known, valid)
        stamp = {"seed": str(seed), "created_at": datetime.now(UTC).isoformat(timespec="seconds")}
        described["learning"] = asdict(config)
        described["calibration"] = {"slope": calibration.slope, "intercept": calibration.intercept}
        return seal(
            draft,
            Manifest(
                name="ranker",
                kind=sealed.kind,
                metrics={**metrics, "train_rows": len(train), "train_clicks": _clicks(train)},
                lineage={**stamp, **(lineage or {})},
                spec=sealed.spec,
                config=described,
            ),
        )


@dataclass(frozen=True, slots=True)
class _Task:
    """What both kinds of model need to continue."""

    rows: LabelledRows
    held_out: LabelledRows
    places: tuple[NDArray[np.float32], NDArray[np.float32]]
    """log2 of the positions of both."""
    spec: FeatureSpec
    config: LearnConfig
    seed: int
    progress: Progress | None

    def start(self, scores: NDArray[np.floating]) -> Curve:
        """What a click looks like to (M,) scores of `rows`."""
        places = self.places[0] if self.config.position == "feature" else None
        return fit_curve(scores, self.rows.labels > 0, places, self.rows.weights)


def _task(
    train: Examples, valid: Examples, ranker: OnnxRanker, config: LearnConfig, seed: int, progress: Progress | None
) -> _Task:
    curve = None
    if config.position == "weights":
        curve = examination(ranker.score(train.features), train.positions, train.labels > 0)
    rows, held_out = learning_rows(train, config, curve), learning_rows(valid, config, curve)
    places = log_positions(train), log_positions(valid)
    return _Task(rows, held_out, places, ranker.spec, config, seed, progress)


def _check(train: Examples, valid: Examples, spec: FeatureSpec) -> None:
    for part, name in ((train, "train"), (valid, "valid")):
        if part.columns != spec.columns:
            raise ValueError(f"The examples of `{name}` have other feature columns than the champion.")
        if not len(part):
            raise ValueError(f"There are no examples in `{name}`.")
    if not _clicks(train):
        raise ValueError("Nothing was clicked in `train`: there is nothing to learn yet.")


def _clicks(examples: Examples) -> int:
    return int((examples.labels > 0).sum())


def _write_trees(draft: Path, champion: Path, sealed: Manifest, task: _Task) -> dict[str, Any]:
    booster = lightgbm.Booster(model_file=str(champion / TREES_FILE))
    forest = Forest(booster, int(sealed.config.get(BASE_TREES, booster.num_trees()))).within(task.config)
    # Indices of a vocabulary have no order that a tree could split on.
    numeric = len(task.spec.numeric_columns)
    rows, held_out = (first_columns(part, numeric) for part in (task.rows, task.held_out))
    scores = forest.score(rows.features), forest.score(held_out.features)
    start = task.start(scores[0])
    offsets = start.logits(scores[0], task.places[0]), start.logits(scores[1], task.places[1])
    made = continue_trees(forest, rows, held_out, start, offsets, task.config, task.seed, task.progress)
    made.booster.save_model(str(draft / TREES_FILE))
    onnx.save(to_onnx(made.booster, len(task.spec.columns)), draft / MODEL_FILE)
    return {BASE_TREES: made.base_trees}


def _write_network(draft: Path, champion: Path, sealed: Manifest, task: _Task) -> dict[str, Any]:
    shape = shape_from_json(sealed.kind, sealed.config.get("shape", sealed.config))
    network = build(task.spec, shape)
    network.load_state_dict(load_file(champion / WEIGHTS_FILE))
    if sealed.config.get("learning", {}).get("position") != "feature":
        forget_places(network, task.spec)
    start = task.start(scores_of(network, task.rows.features))
    fit = list_fit(sealed.config.get("fit", sealed.config), task.config)
    made = continue_network(network, task.spec, shape, fit, task.rows, task.held_out, start, task.seed, task.progress)
    write_network(draft, made, shape, task.spec)
    # A full training asked which of a list comes next; from here on each candidate has a chance of its own.
    return {"fit": asdict(fit)} if "fit" in sealed.config else {}


def _on_valid(
    scores: NDArray[np.float32], champion: NDArray[np.float32], valid: Examples
) -> tuple[Curve, dict[str, float]]:
    """What a score at the top says of a click, and the log-loss on `valid` of both models, each on its own curve."""
    clicked, places = valid.labels > 0, log_positions(valid)
    ours, theirs = (fit_curve(values, clicked, places) for values in (scores, champion))
    metrics = {
        "valid_log_loss": float(log_losses(ours.logits(scores, places), clicked).mean()),
        "valid_champion_log_loss": float(log_losses(theirs.logits(champion, places), clicked).mean()),
        "valid_clicks": _clicks(valid),
    }
    return ours, metrics
