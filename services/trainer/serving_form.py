"""In which precision a network serves: in eight bits where its lists do not get worse by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.heads import Heads
from models.int8 import write_int8
from models.metrics import ndcg, paired_interval
from models.ranking import MODEL_FILE, OnnxRanker, open_session
from models.rows import LabelledRows
from models.spec import FeatureSpec

TOLERANCE = 0.002
"""NDCG@10 that the interval of the difference may reach below zero."""
_INT8_FILE = "model.int8.onnx"


def settle_int8(
    draft: Path, ranker: OnnxRanker, spec: FeatureSpec, heads: Heads | None, rest: LabelledRows
) -> dict[str, float]:
    """Puts the int8 form in the place of the served one if held-out lists are as good under it, paired by list. Tells
    the difference in NDCG@10 with its interval, and whether int8 serves (1 or 0)."""
    smaller = draft / _INT8_FILE
    write_int8(draft / MODEL_FILE, smaller)
    other = OnnxRanker(open_session(smaller), ranker.kind, spec, heads)
    mine, theirs = (ndcg(target_ranks(one.score(rest.features), rest), 10) for one in (other, ranker))
    change = paired_interval(mine, theirs)
    if kept := change.low >= -TOLERANCE:
        smaller.replace(draft / MODEL_FILE)
    else:
        smaller.unlink()
    return {
        "int8_ndcg_change": change.mean,
        "int8_ndcg_change_low": change.low,
        "int8_ndcg_change_high": change.high,
        "int8_serves": float(kept),
    }


def target_ranks(scores: NDArray[np.float32], rows: LabelledRows) -> NDArray[np.float64]:
    """(Q,) rank of the one best row of each query, 1 for the highest score; ties count against it."""
    starts = np.cumsum(rows.group_sizes) - rows.group_sizes
    query = np.repeat(np.arange(rows.group_sizes.size), rows.group_sizes)
    target = np.array(
        [
            start + rows.labels[start : start + size].argmax()
            for start, size in zip(starts, rows.group_sizes, strict=True)
        ]
    )
    ahead = (scores >= scores[target][query]).astype(np.float64)
    return np.bincount(query, ahead, target.size).astype(np.float64)
