"""The whole story of an evaluation: fit what is missing, keep it, then tell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from services.runtime.errors import SettingsError
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import Snapshot, read_events, read_snapshot
from services.trainer.evaluation.about import SAMPLE, About, revision
from services.trainer.evaluation.options import Options
from services.trainer.evaluation.ours import names, ours, quick_plan, untimed
from services.trainer.evaluation.rated import rate, rated
from services.trainer.evaluation.report import write_report
from services.trainer.evaluation.results import Folder, Result
from services.trainer.evaluation.summary import summarise
from services.trainer.evaluation.tables import show
from services.trainer.p1 import judge
from services.trainer.peers import PEERS, fit_peer, peers_of
from services.trainer.pipeline import Plan
from services.trainer.progress import Steps


def evaluate(plan: Plan, steps: Steps, options: Options | None = None) -> Path:
    """Fits what the folder of the options lacks, prints the tables and writes the report; returns its path."""
    options = options or Options()
    snapshot, interactions = read_snapshot(plan.data_dir / "lake"), imported(plan.data_dir / "lake")
    interactions.require_order()
    plan = plan if options.timed else untimed(plan)
    plan = quick_plan(plan) if options.quick else plan
    folder = Folder(options.folder(plan.data_dir))
    if not options.report_only:
        folder.begin(About.of(snapshot, options, plan))
        _measure(plan, steps, options, folder, snapshot, interactions)
    about = folder.about()
    if about.data_snapshot != snapshot.content_hash:
        raise SettingsError(f"{folder.path} holds an evaluation of other data than {plan.data_dir / 'lake'} does.")
    with steps.step("report: intervals, tables and pictures"):
        figures = summarise(about, folder.results(), rated(folder.rated()), interactions)
        page = write_report(figures, folder.path)
    show(figures, steps.console)
    steps.console.print(f"Written to {page}", soft_wrap=True)
    return page


def imported(lake: Path) -> Interactions:
    """The events of the data set itself: what came through the stack since is no part of it."""
    events = read_events(lake).filter(pl.col("source").fill_null("") != "live")
    return Interactions.of(pl.read_parquet(lake / "users.parquet"), pl.read_parquet(lake / "items.parquet"), events)


def _measure(
    plan: Plan, steps: Steps, options: Options, folder: Folder, snapshot: Snapshot, interactions: Interactions
) -> None:
    seeds = options.seeds_from(plan.seed)
    if options.takes("p1"):
        chosen = _chosen(interactions, options.quick, plan.seed)
        for result in _peers(steps, options, folder, interactions, seeds, chosen):
            folder.keep(result)
        for seed in seeds:
            if all(folder.has(name, seed) for name in names(plan.kinds)):
                continue
            steps.console.print(f"P1: our funnel, seed {seed}")
            for result in ours(
                replace(plan, seed=seed), steps, interactions, snapshot, folder.path / "work" / str(seed), chosen
            ):
                folder.keep(result)
    if options.takes("p2"):
        for seed in (seed for seed in seeds if not folder.has_rated(seed)):
            found = rate(plan.data_dir, seed, steps, options.quick)
            if found is None:
                break
            folder.keep_rated(seed, found)


def _chosen(interactions: Interactions, quick: bool, seed: int) -> NDArray[np.int64]:
    """Places in `targets()` of the users that are judged."""
    count = sum(1 for _ in interactions.targets())
    if not quick or count <= SAMPLE:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, SAMPLE, replace=False))


def _peers(
    steps: Steps,
    options: Options,
    folder: Folder,
    interactions: Interactions,
    seeds: list[int],
    chosen: NDArray[np.int64],
) -> Iterator[Result]:
    """Every peer that the folder lacks; those that draw nothing once, the others for each seed."""
    for name in peers_of(interactions, options.quick):
        for seed in seeds if PEERS[name].drawn else seeds[:1]:
            if folder.has(name, seed):
                continue
            try:
                with steps.step(f"P1: {PEERS[name].label}" + (f", seed {seed}" if PEERS[name].drawn else "")):
                    yield _peer(interactions, name, seed, chosen)
            except SettingsError as error:
                steps.console.print(f"P1: {PEERS[name].label} is left out: {error}")


def _peer(interactions: Interactions, name: str, seed: int, chosen: NDArray[np.int64]) -> Result:
    begun = time.perf_counter()
    scorer = fit_peer(interactions, name, seed)
    seconds = time.perf_counter() - begun
    found = judge(scorer, interactions, chosen)
    return Result(name, seed, seconds, revision(), chosen, found.ranks, found.lists)
