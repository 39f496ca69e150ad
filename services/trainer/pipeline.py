"""From nothing to published models: fetch, replay, fit, evaluate, publish. Every step says how far it is.

The ranker must not learn from retrieval scores that already know the answer. So retrieval is fitted twice: first
without each user's last WINDOW + 1 events, whose middle WINDOW become the ranker's moments; then, warm-started, on
everything but the last event, which is the test of P1 (and stays unseen by what is served).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from models.artifact import annotate, read_manifest, seal, verify
from models.items import ItemTable
from models.spec import FeatureSpec
from services.retrieval.loading import open_retriever
from services.runtime.registry import CHALLENGER, Registry
from services.trainer.catalog import item_table
from services.trainer.compute import Resources
from services.trainer.data.imports import import_data
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import Snapshot
from services.trainer.funnel import Funnel, Ranks
from services.trainer.history import build_history
from services.trainer.index import build_index
from services.trainer.kinds import RANKERS, Kind
from services.trainer.moment import Moment, moments_before
from services.trainer.p1 import evaluate_ranks
from services.trainer.progress import Steps, mark_trained
from services.trainer.ranking import RankerConfig, fit_ranker
from services.trainer.retrieval_models import RetrievalFitConfig, fit_retrieval
from services.trainer.rollout.release import promote_release
from services.trainer.shares import learn_shares, write_shares

WINDOW = 3
"""Events of each user that the ranker learns from: those before the last one."""
NEGATIVES = 40
"""Candidates kept beside the target of each moment."""
RETRIEVAL = ("two_tower", "co_visitation", "popularity", "ease")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train, and where."""

    data_dir: Path = Path(".data")
    dataset: str = ""
    """Its name; empty for what the lake holds, or ml-1m."""
    seed: int = 0
    test_users: int = 1000
    """Users P1 is measured on at the end, drawn at random; 0 for all. `evaluate` takes all."""
    registry_url: str = ""
    """MLflow server; empty for the SQLite file in the data folder."""
    retrieval: RetrievalFitConfig = field(default_factory=RetrievalFitConfig)
    """Hyper-parameters of the retrieval models."""
    kinds: tuple[Kind, ...] = RANKERS
    """Rankers to fit: champion, challenger and others."""
    rankers: Mapping[Kind, RankerConfig] = field(default_factory=dict)
    """Hyper-parameters of rankers that are not to be fitted with their defaults."""
    resources: Resources = field(default_factory=Resources)
    """What torch fits may use."""
    int8: bool = False
    """Whether rankers that are networks may serve in eight bits."""
    moments: int = 10_000
    """Moments the rankers learn from, drawn at random; 0 for all, which is better and takes minutes more."""

    @property
    def timed(self) -> bool:
        """Whether anything knows when a user is asked for."""
        return self.retrieval.towers.request_time

    def moments_of(self, interactions: Interactions, lasts: Iterable[int]) -> list[Moment]:
        """The requests before these last events of each user, told as much of their time as the models are."""
        return moments_before(interactions, lasts, self.timed)

    @property
    def checkpoints(self) -> Path:
        """Where fits keep their state until the run is published."""
        return self.data_dir / "checkpoints"


def train(plan: Plan, steps: Steps) -> dict[str, str]:
    """Runs the whole pipeline; returns the published versions, champions and challengers, by name."""
    lake = plan.data_dir / "lake"
    with steps.step(f"data: {plan.dataset or 'what the lake holds'}, fetched and verified"):
        snapshot = import_data(plan.dataset, plan.data_dir)
    with steps.step("features: history replayed into offline views") as advance:
        build_history(plan.data_dir, lambda _view, share: advance(round(share * 100), 100))
    drafts = plan.data_dir / "drafts"
    shutil.rmtree(drafts, ignore_errors=True)
    try:
        interactions = Interactions.load(lake)
        interactions.require_order()
        folders = fit(plan, steps, interactions, snapshot, drafts)
        measure(plan, steps, interactions, folders)
        with steps.step("registry: published"):
            versions = publish(plan, folders)
            mark_trained(plan.data_dir, versions)
        shutil.rmtree(plan.checkpoints, ignore_errors=True)
        return versions
    finally:
        shutil.rmtree(drafts, ignore_errors=True)


def fit(plan: Plan, steps: Steps, interactions: Interactions, snapshot: Snapshot, drafts: Path) -> dict[str, Path]:
    """Artifact folders of every model, by registered name; rankers by kind."""
    lineage = {
        "data_snapshot": snapshot.content_hash,
        "code_revision": code_revision(),
        "seed": str(plan.seed),
        "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    before, after = drafts / "before", drafts / "after"
    earlier = interactions.leave_last(WINDOW + 1)
    with steps.step("retrieval: fitted before the ranker's window") as advance:
        fit_retrieval(
            earlier,
            before,
            lineage=lineage,
            config=plan.retrieval,
            seed=plan.seed,
            progress=advance,
            resources=plan.resources,
            checkpoint=plan.checkpoints / "two_tower_before",
        )
        table = item_table(earlier.items, earlier.events_frame())
        with_index(before, table)
    rankers: dict[str, Path] = {kind: drafts / kind for kind in plan.kinds}
    with steps.step("retrieval: shares of the sources") as advance:
        share_out(before, table, plan.moments_of(interactions, [WINDOW + 1]), plan.seed, advance)
    known = interactions.leave_last(1)
    # Of these alone, so that what followed the last of them stays the test's secret.
    moments = drawn(plan.moments_of(known, range(1, WINDOW + 1)), plan.moments, plan.seed)
    with steps.step(f"ranker: candidates and features of {len(moments):,} moments") as advance:
        spec = FeatureSpec.of(table, interactions.profiles)
        dataset = Funnel(before, table, {}).dataset(moments, spec, NEGATIVES, plan.seed, advance)
    for kind in plan.kinds:
        with steps.step(f"ranker: {kind} fitted on {len(dataset.rows.labels):,} rows") as advance:
            fit_ranker(
                kind,
                dataset,
                rankers[kind],
                plan.seed,
                advance,
                config=plan.rankers.get(kind),
                lineage=lineage,
                resources=plan.resources,
                checkpoint=plan.checkpoints / kind,
                int8=plan.int8,
            )
    with steps.step("retrieval: refitted on everything but the last event") as advance:
        fit_retrieval(
            known,
            after,
            lineage=lineage,
            config=plan.retrieval,
            seed=plan.seed,
            warm_start=before / "two_tower",
            progress=advance,
            resources=plan.resources,
            checkpoint=plan.checkpoints / "two_tower_after",
        )
        recall = with_index(after, item_table(known.items, known.events_frame()))
    steps.console.print(f"    served index against exact search: recall@100 [b]{recall:.4f}")
    return {**{name: after / name for name in RETRIEVAL}, **rankers}


def share_out(
    folder: Path, table: ItemTable, moments: Sequence[Moment], seed: int, advance: Callable[[int, int], None]
) -> None:
    """Learns how the sources of these models share a list best, and writes it to their towers."""
    with (
        TemporaryDirectory(prefix="cascade-shares-") as scratch,
        open_retriever(folder, table, Path(scratch)) as retriever,
    ):
        shares = learn_shares(retriever, moments, seed, advance)
    write_shares(folder / "two_tower", shares)


def with_index(folder: Path, table: ItemTable) -> float:
    """Builds the vector index inside the tower's artifact and returns its recall@100 against exact search."""
    tower = folder / "two_tower"
    ids = np.load(tower / "item_ids.npy")
    genres = [table.genres[row] if row >= 0 else () for row in table.rows_of(ids).tolist()]
    report = build_index(ids, np.load(tower / "item_vectors.npy"), genres, tower / "index")
    manifest = read_manifest(tower)
    seal(tower, replace(manifest, metrics={**manifest.metrics, "index_recall@100": report.recall_at_100}))
    return report.recall_at_100


def measure(plan: Plan, steps: Steps, interactions: Interactions, folders: dict[str, Path]) -> Ranks:
    """P1 of the funnel as served, on the test event of (a sample of) the users; written into the manifests."""
    known = interactions.leave_last(1)
    moments = drawn(plan.moments_of(interactions, [1]), plan.test_users, plan.seed)
    table = item_table(known.items, known.events_frame())
    funnel = Funnel(folders["two_tower"].parent, table, {kind: folders[kind] for kind in plan.kinds})
    with steps.step(f"evaluation: P1 as served, {len(moments):,} users") as advance:
        ranks = funnel.ranks(moments, advance)
    for name in RETRIEVAL:
        annotate(folders[name], _prefixed("retrieval", evaluate_ranks(ranks.retrieval)))
    for kind, found in ranks.funnel.items():
        annotate(folders[kind], _prefixed("funnel", evaluate_ranks(found)))
    return ranks


def drawn(moments: Sequence[Moment], count: int, seed: int) -> Sequence[Moment]:
    """`count` of the moments at random, in their order; all of them when it is 0 or there are no more."""
    if not 0 < count < len(moments):
        return moments
    chosen = np.random.default_rng(seed).choice(len(moments), count, replace=False)
    return [moments[place] for place in sorted(chosen.tolist())]


def _prefixed(prefix: str, metrics: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in metrics.items()}


def publish(plan: Plan, folders: dict[str, Path]) -> dict[str, str]:
    """Registers every artifact, then moves the aliases: what serves changes only when all of it is there."""
    registry = Registry.open(plan.data_dir, plan.registry_url)
    for folder in folders.values():
        verify(folder)
    versions = {
        name: registry.publish("ranker" if name in plan.kinds else name, folder) for name, folder in folders.items()
    }
    champions = {name: versions[name] for name in RETRIEVAL}
    # What is on its way to the users descends from models that serve no longer: it ends.
    promote_release(registry, {**champions, "ranker": versions[plan.kinds[0]]})
    if len(plan.kinds) > 1:
        registry.set_alias("ranker", CHALLENGER, versions[plan.kinds[1]])
    else:
        registry.remove_alias("ranker", CHALLENGER)
    return versions


def code_revision() -> str:
    """The commit of the working tree, or "unknown" outside a clone."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True, text=True, timeout=10, check=False, cwd=Path(__file__).parent,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"
