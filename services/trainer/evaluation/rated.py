"""P2 inside an evaluation: when it can be run at all, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.feature_blocks import LIKED
from models.metrics import Interval, Reliability
from services.trainer.data.lake import read_events
from services.trainer.evaluation.about import revision
from services.trainer.p2.metrics import LEAST_EVENTS
from services.trainer.p2.run import P2Result, run_p2
from services.trainer.p2.scorers import P2Config
from services.trainer.progress import Steps

LEAST_RATED = 1000
"""Events with a rating below which P2 tells nothing."""
LEAST_TESTED = 20
"""Users below which a draw of a bootstrap could hold none."""


@dataclass(frozen=True, slots=True)
class Rated:
    """One scorer under P2, over the seeds."""

    name: str
    seeds: list[int]
    fit_seconds: float
    """The mean."""
    metrics: dict[str, Interval]
    """Means over the seeds of the value and of the ends of its interval over users."""
    reliability: Reliability | None
    """Of the first seed."""
    revisions: list[str]


def rate(data_dir: Path, seed: int, steps: Steps, quick: bool) -> dict[str, Any] | None:
    """P2 of one seed as it is kept; None where there are too few ratings or all are of one time, which is printed."""
    if why := unfit(read_events(data_dir / "lake")):
        steps.console.print(f"P2 is left out: {why}")
        return None
    with steps.step(f"P2: every ranker on a global time split, seed {seed}") as advance:
        config = P2Config.quick() if quick else P2Config()
        found = run_p2(data_dir, seed, lambda _scorer, done, planned: advance(done, planned), config)
    return {"revision": revision(), "scorers": {name: _told(result) for name, result in found.items()}}


def rated(kept: dict[int, Any]) -> list[Rated]:
    """What was kept, put together over the seeds."""
    names = list(dict.fromkeys(name for told in kept.values() for name in told["scorers"]))
    return [_over_seeds(name, {seed: told for seed, told in kept.items() if name in told["scorers"]}) for name in names]


def _over_seeds(name: str, kept: dict[int, Any]) -> Rated:
    scorers = [told["scorers"][name] for told in kept.values()]
    metrics = {
        metric: Interval(*np.mean([scorer["metrics"][metric] for scorer in scorers], axis=0).tolist())
        for metric in scorers[0]["metrics"]
    }
    diagram = None
    if (first := scorers[0]["reliability"]) is not None:
        predicted, observed = (np.array(column, np.float64) for column in first[:2])
        diagram = Reliability(predicted, observed, np.array(first[2], np.int64))
    revisions = sorted({str(told["revision"]) for told in kept.values()})
    seconds = float(np.mean([scorer["fit_seconds"] for scorer in scorers]))
    return Rated(name, sorted(kept), seconds, metrics, diagram, revisions)


def _told(result: P2Result) -> dict[str, Any]:
    diagram = result.reliability
    return {
        "fit_seconds": result.fit_seconds,
        "metrics": {name: list(found) for name, found in result.metrics.items()},
        # JSON has no NaN: an empty bin is null.
        "reliability": None
        if diagram is None
        else [[None if np.isnan(value) else value for value in column.tolist()] for column in diagram],
    }


def unfit(events: pl.DataFrame) -> str:
    """Why the lake's events, oldest first, cannot be judged as P2 does; "" when they can."""
    rated = events.filter(pl.col("value").is_not_null(), pl.col("source") != "live")
    seconds, count = rated["ts"].dt.epoch("s"), rated.height
    if count < LEAST_RATED:
        return f"it needs {LEAST_RATED:,} events with a rating, and there are {count:,}."
    if not seconds[0] < seconds[round(0.8 * count)] < seconds[round(0.9 * count)]:
        return "it fits on the first 80 % and is tested on the last 10 %, and too many events are of one second."
    liked = pl.col("value") >= LIKED
    tested = rated[round(0.9 * count) :].group_by("user_id").agg(pl.len(), mixed=liked.any() & ~liked.all())
    if min(tested["mixed"].sum(), (tested["len"] >= LEAST_EVENTS).sum()) < LEAST_TESTED:
        return (
            f"of the users of its last 10 % of ratings it needs {LEAST_TESTED} with {LEAST_EVENTS} of them, and as "
            "many who liked some of theirs and others not."
        )
    return ""
