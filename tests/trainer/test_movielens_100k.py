"""The real MovieLens-100K, end to end: fetched, imported, and judged by the protocol."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from services.runtime.errors import Unavailable
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import import_movielens, read_events, read_snapshot
from services.trainer.p1 import compare_ranks, evaluate_ranks
from services.trainer.peers import peer_ranks

pytestmark = pytest.mark.realdata
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MovieLens-100K, downloaded once into the data folder."""
    folder = tmp_path_factory.mktemp("ml-100k") / "lake"
    try:
        import_movielens("ml-100k", Path(os.environ.get("CASCADE_DATA_DIR", ".data")) / "raw", folder, NOW)
    except Unavailable as error:
        pytest.skip(error.sentence)
    return folder


def test_the_published_data_set_is_imported(lake: Path) -> None:
    snapshot = read_snapshot(lake)
    assert (snapshot.users, snapshot.items, snapshot.events) == (943, 1682, 100_000)
    # u.data ends on 22 April 1998, 23:10:38.
    assert snapshot.shift_seconds == int(NOW.timestamp()) - 893_286_638
    star_wars = pl.read_parquet(lake / "items.parquet").filter(pl.col("item_id") == 50)
    assert star_wars.select("title", "year", "genres").rows() == [
        ("Star Wars", 1977, ["Action", "Adventure", "Romance", "Sci-Fi", "War"])
    ]
    assert read_events(lake).filter(pl.col("item_id") == 50).height == 583


def test_every_peer_beats_popularity(lake: Path) -> None:
    interactions = Interactions.load(lake)
    popularity = peer_ranks(interactions, "popularity")
    assert popularity.size == 943
    for name in ("ials", "ease", "co_visitation"):
        ranks = peer_ranks(interactions, name)
        assert compare_ranks(ranks, popularity)["hr@50_low"] > 0, name
        assert evaluate_ranks(ranks)["hr@200"] > 0.4, name
