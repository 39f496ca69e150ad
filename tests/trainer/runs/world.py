"""A small data folder that a continuous run finds: a lake with clicks, and champions that answered before them.

People click what their direction around the ring leads to next, and what stands high.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from models.artifact import Manifest, seal, writing
from models.items import ItemTable
from models.lambdamart import LambdaMartConfig
from models.spec import RETRIEVAL_COLUMNS, FeatureSpec
from models.two_tower import TwoTowerConfig
from services.ingest.tables import EVENTS, IMPRESSIONS
from services.runtime.registry import CHAMPION, Registry
from services.trainer.catalog import item_table
from services.trainer.data.interactions import Interactions
from services.trainer.gate import GateConfig
from services.trainer.learning.config import LearnConfig
from services.trainer.pipeline import RETRIEVAL, with_index
from services.trainer.ranking import fit_ranker
from services.trainer.ranking_dataset import RankingDataset, RankingQuery
from services.trainer.retrieval_models import RetrievalFitConfig, fit_retrieval
from services.trainer.runs.plan import LearnPlan
from services.trainer.tower_fit import TowerFitConfig
from tests.trainer.small_interactions import START, ring_tables

FULL_AT = START + timedelta(days=1)
"""When the champions were made."""
SHOWN = 8
TOWERS = RetrievalFitConfig(
    towers=TwoTowerConfig(width=16),
    fit=TowerFitConfig(epochs=2, refit_epochs=1, batch_windows=16, negatives=32, warm_up=5, held_out=40, threads=1),
)


def plan(data_dir: Path, *, retrieval: bool = False, least_clicks: int = 30) -> LearnPlan:
    """A continuous run on the world: the whole of it is recent enough, and its rows need not be those of the code."""
    return LearnPlan(
        data_dir,
        retrieval=retrieval,
        period=timedelta(days=20_000),
        least_clicks=least_clicks,
        ranker=LearnConfig(trees=20, tree_rate=0.2, min_rows_in_leaf=20),
        towers=TOWERS,
        gate=GateConfig(skew_share=0.0, skew_slates=5, rounds=3, resamples=200, floor_ms=1000.0),
    )


def build(data_dir: Path, *, slates: int = 300, towers: bool = False, interests: int = 1) -> Registry:
    """Fills a data folder; without `towers` the retrieval models are files that nobody can open, else the towers tell
    so many `interests`."""
    users, items, events = ring_tables()
    lake = data_dir / "lake"
    (lake / "events").mkdir(parents=True)
    users.write_parquet(lake / "users.parquet")
    items.write_parquet(lake / "items.parquet")
    events.write_parquet(lake / "events" / "ring.parquet")
    interactions = Interactions.of(users, items, events)
    table = item_table(items, interactions.events_frame())
    registry = Registry.open(data_dir)
    _publish_retrieval(registry, interactions.leave_last(1), data_dir / "made", interests if towers else 0)
    spec = _publish_ranker(registry, interactions, table, data_dir / "made")
    show(lake, spec, interactions, table, FULL_AT, slates)
    return registry


def show(
    lake: Path, spec: FeatureSpec, interactions: Interactions, table: ItemTable, since: datetime, slates: int
) -> None:
    """Adds slates, one a minute, and the clicks on them."""
    random = np.random.default_rng(slates)
    impressions: list[dict[str, object]] = []
    clicks: list[dict[str, object]] = []
    for number in range(slates):
        user, at = int(random.integers(len(interactions))), since + timedelta(minutes=number)
        state = interactions.state_before(user, 0)
        ids = random.choice(table.ids, SHOWN, replace=False)
        features = spec.assemble(state, table, ids, _scores(SHOWN, random), int(at.timestamp() * 1000))
        key = f"r-{since:%H%M}-{number}"
        impressions += _rows(key, state.user_id, at, ids.tolist(), features, spec.columns)
        distance = np.abs(ids.astype(np.int64) - int(state.history[-1]))
        for place in np.flatnonzero(
            random.random(SHOWN) < 0.9 * np.exp(-distance / 10) / np.arange(1, SHOWN + 1) ** 0.5
        ):
            clicks.append(
                {
                    "event_id": f"{key}-{place}", "type": "click", "user_id": state.user_id, "item_id": int(ids[place]),
                    "ts": at + timedelta(seconds=20), "recommendation_id": key, "position": int(place) + 1,
                    "source": "live",
                }
            )  # fmt: skip
    _append(impressions, IMPRESSIONS, lake / "impressions", since)
    _append(clicks, EVENTS, lake / "events", since)


def show_more(data_dir: Path, hours: int, slates: int = 60) -> None:
    """More of the same, so many hours after the first ones."""
    lake = data_dir / "lake"
    users, items = pl.read_parquet(lake / "users.parquet"), pl.read_parquet(lake / "items.parquet")
    interactions = Interactions.of(users, items, pl.read_parquet(lake / "events" / "ring.parquet"))
    table = item_table(items, interactions.events_frame())
    spec = FeatureSpec.of(table, interactions.profiles)
    show(lake, spec, interactions, table, FULL_AT + timedelta(hours=6 + hours), slates)


def _rows(
    key: str, user: int, at: datetime, ids: Sequence[int], features: np.ndarray, columns: Sequence[str]
) -> list[dict[str, object]]:
    shared = {
        "recommendation_id": key, "user_id": user, "ts": at, "propensity": 1.0, "slot": "ranked", "served_by": "ranker",
        "feature_columns": list(columns), "model_versions": json.dumps({"ranker": "1"}), "experiments": "{}",
    }  # fmt: skip
    return [
        {**shared, "position": place, "item_id": item, "score": 0.0, "features": features[place - 1].tolist()}
        for place, item in enumerate(ids, 1)
    ]


def _append(rows: list[dict[str, object]], schema: pa.Schema, folder: Path, since: datetime) -> None:
    home = folder / f"date={since:%Y-%m-%d}"
    home.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), home / f"{int(since.timestamp())}-{len(rows)}.parquet")


def _scores(count: int, random: np.random.Generator) -> np.ndarray:
    return random.random((count, len(RETRIEVAL_COLUMNS)), np.float32)


def _publish_retrieval(registry: Registry, known: Interactions, made: Path, interests: int) -> None:
    lineage = {"created_at": FULL_AT.isoformat(), "data_snapshot": "ring"}
    if interests:
        config = replace(TOWERS, towers=replace(TOWERS.towers, interests=interests))
        fit_retrieval(known, made, lineage=lineage, config=config)
        with_index(made, item_table(known.items, known.events_frame()))
    for name in RETRIEVAL:
        if not interests:
            with writing(made / name) as draft:
                seal(draft, Manifest(name, name, lineage=lineage))
        registry.publish(name, made / name, CHAMPION)


def _publish_ranker(registry: Registry, interactions: Interactions, table: ItemTable, made: Path) -> FeatureSpec:
    random = np.random.default_rng(0)
    spec = FeatureSpec.of(table, interactions.profiles)
    queries = [
        RankingQuery(interactions.state_before(user, 1), ids, _scores(20, random), place, at_ms)
        for user, item, at_ms in interactions.targets(1)
        for ids in [random.choice(table.ids, 20, replace=False)]
        for place in [int(np.argmin(np.abs(ids.astype(np.int64) - item)))]
    ]
    dataset = RankingDataset.of(queries, spec, table)
    config = LambdaMartConfig(trees=5, leaves=4, min_rows_in_leaf=20, threads=1)
    fit_ranker("lambdamart", dataset, made / "ranker", config=config, lineage={"created_at": FULL_AT.isoformat()})
    registry.publish("ranker", made / "ranker", CHAMPION)
    return dataset.spec
