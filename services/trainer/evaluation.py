"""make evaluate: the published models and their peers under P1, every ranker under P2, in one report."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.table import Table

from models.feature_blocks import LIKED
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.trainer.catalog import item_table
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import read_events
from services.trainer.funnel import Funnel, Ranks
from services.trainer.moment import Moment, moments_before
from services.trainer.p1 import METRICS, compare_ranks, evaluate_ranks, ranks_table
from services.trainer.p2.metrics import LEAST_EVENTS
from services.trainer.p2.run import P2Result, p2_table, run_p2
from services.trainer.peers import PEERS, peer_ranks, peers_of
from services.trainer.pipeline import RETRIEVAL, Plan
from services.trainer.progress import Steps

REPORT = "evaluation.json"
LEAST_RATED = 1000
"""Events with a rating below which P2 tells nothing."""
LEAST_TESTED = 20
"""Users below which a draw of a bootstrap could hold none."""


def evaluate(plan: Plan, steps: Steps) -> None:
    """Prints the tables and writes them to data_dir/evaluation.json."""
    registry = Registry.open(plan.data_dir, plan.registry_url)
    found = p1(steps, registry, known_at_training(registry, plan.data_dir / "lake"))
    steps.console.print(ranks_table(found))
    steps.console.print(_differences(found))
    rated = p2(plan, steps)
    report = {
        "p1": {name: evaluate_ranks(ranks) for name, ranks in found.items()},
        "p2": {
            name: {metric: list(value) for metric, value in result.metrics.items()} for name, result in rated.items()
        },
    }
    (plan.data_dir / REPORT).write_text(json.dumps(report, indent=2))
    steps.console.print(f"Written to {plan.data_dir / REPORT}")


def p2(plan: Plan, steps: Steps) -> dict[str, P2Result]:
    """P2, or nothing where there are too few ratings, or all of one time: what is said then is printed."""
    if why := _unfit_for_p2(read_events(plan.data_dir / "lake")):
        steps.console.print(f"P2 is left out: {why}")
        return {}
    with steps.step("P2: both rankers on a global time split") as advance:
        found = run_p2(plan.data_dir, plan.seed, lambda _scorer, done, planned: advance(done, planned))
    steps.console.print(p2_table(found))
    return found


def _unfit_for_p2(events: pl.DataFrame) -> str:
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


def known_at_training(registry: Registry, lake: Path) -> Interactions:
    """The events that the champions were fitted on and tested with: what happened since is no test of them."""
    lineage = registry.resolve("two_tower").manifest.lineage
    # A continuous run leaves out what the full run it descends from was tested with.
    return Interactions.load(lake, datetime.fromisoformat(lineage.get("full_at") or lineage["created_at"]))


def p1(steps: Steps, registry: Registry, interactions: Interactions) -> dict[str, NDArray[np.float64]]:
    """Ranks of every user's last event by every peer, by retrieval alone and by the funnel with each ranker."""
    found: dict[str, NDArray[np.float64]] = {}
    for name in peers_of(interactions):
        with steps.step(f"P1: {name}"):
            found[name] = peer_ranks(interactions, name)
    with steps.step("P1: the funnel as served") as advance, tempfile.TemporaryDirectory() as scratch:
        ranks = served_ranks(registry, interactions, Path(scratch), advance)
    return {
        **found,
        "retrieval, merged": ranks.retrieval,
        **{f"funnel, {kind}": funnel for kind, funnel in ranks.funnel.items()},
    }


def served_ranks(
    registry: Registry,
    interactions: Interactions,
    scratch: Path,
    advance: Callable[[int, int], None],
    moments: Sequence[Moment] | None = None,
) -> Ranks:
    """Ranks by the registry's champions and its challenger, if there is one; at all last events, or some moments."""
    for name in RETRIEVAL:
        (scratch / name).symlink_to(registry.resolve(name).folder)
    rankers: dict[str, Path] = {}
    for alias in (CHAMPION, CHALLENGER):
        if registry.version_of("ranker", alias) is not None:
            found = registry.resolve("ranker", alias)
            rankers.setdefault(found.manifest.kind, found.folder)
    known = interactions.leave_last(1)
    table = item_table(known.items, known.events_frame())
    return Funnel(scratch, table, rankers).ranks(moments or moments_before(interactions, [1]), advance)


def _differences(found: Mapping[str, NDArray[np.float64]]) -> Table:
    """The champion's funnel against every peer, paired by user."""
    table = Table(title="Funnel minus peer, paired by user, 95 % interval")
    table.add_column("peer")
    for metric in METRICS:
        table.add_column(metric.upper(), justify="right")
    champion = next(name for name in found if name.startswith("funnel"))
    for name in (name for name in PEERS if name in found):
        gain = compare_ranks(found[champion], found[name])
        table.add_row(name, *(f"{gain[m]:+.4f} [{gain[f'{m}_low']:+.4f}, {gain[f'{m}_high']:+.4f}]" for m in METRICS))
    return table
