"""What each group of the ranker's features is worth: the funnel again, with trees that never see the group.

Retrieval is fitted once, without each user's last events; the trees learn from the events before the last one and are
judged on the last one, all over the same candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.table import Table

from models.feature_blocks import CONTEXT_COLUMNS, HISTORY_COLUMNS, ITEM_FEATURE_COLUMNS, RETRIEVAL_COLUMNS
from models.metrics import Interval, hit_rate, ndcg, paired_interval
from models.spec import FeatureSpec
from services.trainer.catalog import item_table
from services.trainer.data.interactions import Interactions
from services.trainer.funnel import Funnel
from services.trainer.p1 import TargetRanks
from services.trainer.pipeline import NEGATIVES, WINDOW, Plan, drawn, share_out, with_index
from services.trainer.progress import Steps
from services.trainer.ranking import fit_ranker
from services.trainer.ranking_dataset import RankingDataset
from services.trainer.retrieval_models import fit_retrieval

WHOLE = "everything"


def _of_sources(*names: str) -> tuple[str, ...]:
    return (*names, *(f"{name}_rank" for name in names))


GROUPS: Mapping[str, Sequence[str]] = {
    "two towers": _of_sources("two_tower"),
    "transitions": _of_sources("co_visitation", "co_visitation_last", "co_visitation_last3"),
    "EASE": _of_sources("ease"),
    "nearness to the last items": _of_sources("near_last", "near_last3"),
    "popularity, also of the segment": _of_sources("popularity", "segment_popularity"),
    "all ranks": tuple(f"{name}_rank" for name in RETRIEVAL_COLUMNS),
    "item counts and age": ITEM_FEATURE_COLUMNS,
    "session and user": CONTEXT_COLUMNS,
    "candidate against history": HISTORY_COLUMNS,
}
"""Columns by group."""


def ablate(plan: Plan, steps: Steps) -> dict[str, TargetRanks]:
    """(T,) ranks of the last events of a sample of users, by trees that see everything and by those without a group."""
    interactions = Interactions.load(plan.data_dir / "lake")
    with TemporaryDirectory(prefix="cascade-ablation-") as scratch:
        folder = Path(scratch)
        earlier = interactions.leave_last(WINDOW + 1)
        table = item_table(earlier.items, earlier.events_frame())
        with steps.step("retrieval: fitted without the last events") as advance:
            fit_retrieval(earlier, folder, lineage={}, config=plan.retrieval, seed=plan.seed, progress=advance)
            with_index(folder, table)
        with steps.step("retrieval: shares of the sources") as advance:
            share_out(folder, table, plan.moments_of(interactions, [WINDOW + 1]), plan.seed, advance)
        with steps.step("ranker: candidates and features") as advance:
            spec = FeatureSpec.of(table, interactions.profiles)
            learned = drawn(plan.moments_of(interactions, range(2, WINDOW + 2)), plan.moments, plan.seed)
            dataset = Funnel(folder, table, {}).dataset(learned, spec, NEGATIVES, plan.seed, advance)
        rankers = {WHOLE: folder / "whole"}
        with steps.step(f"rankers: {1 + len(GROUPS)} fitted") as advance:
            fit_ranker("lambdamart", dataset, rankers[WHOLE], plan.seed)
            for place, (name, columns) in enumerate(GROUPS.items(), 1):
                rankers[name] = folder / f"without_{place}"
                fit_ranker("lambdamart", without(dataset, columns), rankers[name], plan.seed)
                advance(place, len(GROUPS))
        moments = drawn(plan.moments_of(interactions, [1]), plan.test_users, plan.seed)
        with steps.step(f"funnel: {len(moments):,} users") as advance:
            return Funnel(folder, table, rankers).ranks(moments, advance).funnel


def without(dataset: RankingDataset, columns: Sequence[str]) -> RankingDataset:
    """The same rows with these columns unknown: no tree splits on what never differs."""
    places = [dataset.spec.columns.index(name) for name in columns]
    features = dataset.rows.features.copy()
    features[:, places] = np.nan
    return replace(dataset, rows=replace(dataset.rows, features=features))


def worth(found: Mapping[str, TargetRanks]) -> dict[str, dict[str, Interval]]:
    """What the funnel loses without each group, paired by user: HR@10 and NDCG@10 with 95 % intervals."""
    whole = found[WHOLE]
    return {
        name: {
            "hr@10": paired_interval(hit_rate(whole, 10), hit_rate(ranks, 10)),
            "ndcg@10": paired_interval(ndcg(whole, 10), ndcg(ranks, 10)),
        }
        for name, ranks in found.items()
        if name != WHOLE
    }


def ablation_table(found: Mapping[str, TargetRanks]) -> Table:
    """For a person, the dearest group first."""
    whole = found[WHOLE]
    title = (
        f"Everything: HR@10 {hit_rate(whole, 10).mean():.4f}, NDCG@10 {ndcg(whole, 10).mean():.4f}, {whole.size} users"
    )
    table = Table("without", title=f"{title}. Lost without a group of features, 95 % interval", title_justify="left")
    for heading in ("HR@10", "NDCG@10"):
        table.add_column(heading, justify="right")
    losses = worth(found)
    for name in sorted(losses, key=lambda name: -losses[name]["ndcg@10"].mean):
        table.add_row(name, *(f"{of.mean:+.4f} [{of.low:+.4f}, {of.high:+.4f}]" for of in losses[name].values()))
    return table
