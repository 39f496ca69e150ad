"""Our funnel under P1: fitted as training does, then watched stage by stage."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.dlrm import DlrmConfig
from models.lambdamart import LambdaMartConfig
from services.trainer.catalog import item_table
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import Snapshot
from services.trainer.evaluation.about import revision
from services.trainer.evaluation.results import Result
from services.trainer.evaluation.stages import Seen, Watched, watch
from services.trainer.funnel import Funnel
from services.trainer.kinds import KINDS, RANKERS, Kind
from services.trainer.p1 import columns_of
from services.trainer.pipeline import Plan, fit
from services.trainer.progress import Steps
from services.trainer.tower_fit import TowerFitConfig

RETRIEVAL_ALONE = "cascade_retrieval"
"""Our candidates in the order that retrieval gives them."""


def ranked_by(kind: str) -> str:
    """The name of the funnel with this ranker at its end."""
    return f"cascade_{kind}"


OURS = ranked_by(RANKERS[0])
"""The funnel that every peer is compared with: the one that becomes champion."""
NAMES = (RETRIEVAL_ALONE, *map(ranked_by, KINDS))


def names(kinds: Sequence[Kind]) -> list[str]:
    """What a funnel with these rankers leaves behind."""
    return [RETRIEVAL_ALONE, *map(ranked_by, kinds)]


def untimed(plan: Plan) -> Plan:
    """Neither towers nor rankers are told when a user is asked for."""
    return replace(plan, retrieval=replace(plan.retrieval, towers=replace(plan.retrieval.towers, request_time=False)))


def quick_plan(plan: Plan) -> Plan:
    """Fits of a minute or two: enough to see that every part does its work."""
    return replace(
        plan,
        moments=4000,
        kinds=RANKERS,
        retrieval=replace(plan.retrieval, fit=TowerFitConfig(epochs=1, refit_epochs=1)),
        rankers={"lambdamart": LambdaMartConfig(trees=100), "dlrm": DlrmConfig(epochs=2)},
    )


def ours(
    plan: Plan, steps: Steps, interactions: Interactions, snapshot: Snapshot, work: Path, chosen: NDArray[np.int64]
) -> list[Result]:
    """Fits everything with the plan's seed in the folder `work`, and judges it on the chosen of the targets.

    Fits that were killed there go on; when all is done the folder is removed.
    """
    drafts = work / "drafts"
    shutil.rmtree(drafts, ignore_errors=True)
    begun = time.perf_counter()
    folders = fit(replace(plan, data_dir=work), steps, interactions, snapshot, drafts)
    seconds = time.perf_counter() - begun
    watched = watch_ours(steps, interactions, folders, chosen, plan)
    shutil.rmtree(work)
    places = interactions.items["item_id"].to_numpy()

    def result(model: str, seen: Seen, sources: Mapping[str, NDArray[np.float64]] | None = None) -> Result:
        lists = np.full(seen.lists.shape, -1, np.int32)
        lists[seen.listed] = columns_of(places, seen.lists[seen.listed])
        return Result(model, plan.seed, seconds, revision(), chosen, seen.ranks, lists, sources or {})

    return [
        result(RETRIEVAL_ALONE, watched.merged, watched.sources),
        *(result(ranked_by(kind), seen) for kind, seen in watched.ranked.items()),
    ]


def watch_ours(
    steps: Steps,
    interactions: Interactions,
    folders: Mapping[str, Path],
    chosen: NDArray[np.int64],
    plan: Plan,
) -> Watched:
    """Each stage right before the last event of the chosen users, of what was fitted by the plan."""
    known = interactions.leave_last(1)
    every = plan.moments_of(interactions, [1])
    moments = [every[place] for place in chosen.tolist()]
    table = item_table(known.items, known.events_frame())
    funnel = Funnel(folders["two_tower"].parent, table, {kind: folders[kind] for kind in KINDS if kind in folders})
    with steps.step(f"P1: the funnel as served, {len(moments):,} users") as advance:
        return watch(funnel, moments, advance)
