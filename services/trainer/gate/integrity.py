"""Whether a challenger is a ranker at all: whole, of the champion's columns, and with a number for every row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.artifact import DamagedArtifact
from models.ranking import Ranker, load_ranker
from services.trainer.gate.verdict import Check

Rows = NDArray[np.float32]


def open_challenger(folder: Path, columns: tuple[str, ...]) -> tuple[Ranker | None, Check]:
    """The ranker of `folder`, or None and the reason why it cannot be judged on rows of `columns`."""
    try:
        ranker = load_ranker(folder)
    # onnxruntime raises a private class for each kind of failure.
    except Exception as error:
        reason = str(error) if isinstance(error, DamagedArtifact) else f"cannot be loaded: {error}"
        return None, Check("integrity", False, reason)
    if ranker.spec.columns != columns:
        strange = sorted(set(ranker.spec.columns) ^ set(columns)) or ["their order"]
        return None, Check("integrity", False, f"reads other columns than were logged: {', '.join(strange[:5])}")
    return ranker, Check("integrity", True, f"whole, {len(columns)} columns, kind {ranker.kind}")


def score_all(ranker: Ranker, rows: Rows) -> tuple[NDArray[np.float64] | None, Check]:
    """The (M,) scores of all rows and of a row of which nothing is known; None where one of them is no number."""
    asked = np.concatenate([rows, unknown_row(ranker)])
    try:
        scores = ranker.score(asked).astype(np.float64)
    except Exception as error:
        return None, Check("scores", False, f"cannot score: {error}")
    figures = {"rows": float(len(rows)), "without_number": float(np.count_nonzero(~np.isfinite(scores[:-1])))}
    if scores.size != len(asked):
        return None, Check("scores", False, f"gave {scores.size} scores for {len(asked)} rows", figures)
    if missing := int(figures["without_number"]):
        return None, Check("scores", False, f"the challenger gave no number for {missing} of {len(rows)} rows", figures)
    if not np.isfinite(scores[-1]):
        return None, Check("scores", False, "gives no number for an unknown item of an unknown user", figures)
    return scores[:-1], Check("scores", True, f"a number for each of {len(rows)} rows", figures)


def unknown_row(ranker: Ranker) -> Rows:
    """(1, F) a stranger and an item nobody described: NaN in numeric columns, 0 in the others."""
    row = np.zeros((1, len(ranker.spec.columns)), np.float32)
    row[:, : len(ranker.spec.numeric_columns)] = np.nan
    return row
