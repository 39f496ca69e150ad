"""The synthetic catalog: the lake's layout, the sizes asked for, and taste that a model could learn."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.errors import SettingsError
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import fill, read_events, read_snapshot
from services.trainer.data.synthetic import SyntheticConfig, import_synthetic, synthesize

SMALL = SyntheticConfig(users=300, items=200, events=20_000, creators=20, days=30)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_lake_is_filled_to_the_sizes_asked_for(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    snapshot = import_synthetic(tmp_path / "lake", SMALL, NOW, lambda done, total: told.append((done, total)))
    assert snapshot == read_snapshot(tmp_path / "lake")
    assert (snapshot.users, snapshot.items, snapshot.events) == (300, 200, 20_000)
    assert told[-1] == (20_000, 20_000)
    events = read_events(tmp_path / "lake")
    newest = events["ts"].max()
    assert isinstance(newest, datetime)
    assert newest.replace(microsecond=0) == NOW
    items = pl.read_parquet(tmp_path / "lake" / "items.parquet")
    assert items["creators"].list.len().to_list() == [1] * 200
    assert items.schema["genres"] == pl.List(pl.String)
    assert Interactions.load(tmp_path / "lake").item_ids.size > 5_000


def test_a_filled_lake_is_left_as_it_is(tmp_path: Path) -> None:
    first = import_synthetic(tmp_path / "lake", SMALL, NOW)
    assert import_synthetic(tmp_path / "lake", SyntheticConfig(users=5, items=5, events=5), NOW) == first


def test_a_lake_of_other_data_is_refused_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "lake", "ml-1m", synthesize(SMALL), NOW)
    with pytest.raises(SettingsError, match="holds ml-1m, not synthetic data"):
        import_synthetic(tmp_path / "lake", SMALL, NOW)


def test_a_seed_gives_the_same_data_and_another_seed_does_not() -> None:
    one, same = synthesize(SMALL), synthesize(SMALL)
    other = synthesize(SyntheticConfig(users=300, items=200, events=20_000, creators=20, days=30, seed=1))
    assert one.ratings.equals(same.ratings)
    assert one.items.equals(same.items)
    assert not one.ratings.equals(other.ratings)


def test_a_few_items_get_most_events() -> None:
    counts = synthesize(SMALL).ratings["item_id"].value_counts()["count"].sort(descending=True)
    assert counts[:20].sum() > 3 * 20_000 * 20 / 200


def test_users_turn_to_the_genres_of_their_taste_and_rate_by_it() -> None:
    """The mix of genres differs between users by far more than chance, and items differ in what they get from whom."""
    data = synthesize(SMALL)
    firsts = data.items.select("item_id", genre=pl.col("genres").list.first())
    pairs = data.ratings.join(firsts, on="item_id").group_by("user_id", "genre").len()
    seen = pairs.pivot("genre", index="user_id", values="len").fill_null(0).drop("user_id").to_numpy().astype(float)
    expected = seen.sum(axis=1, keepdims=True) * seen.sum(axis=0) / seen.sum()
    chi_square = ((seen - expected) ** 2 / expected).sum()
    assert chi_square > 5 * (seen.shape[0] - 1) * (seen.shape[1] - 1)
    ratings = data.ratings["value"].to_numpy()
    assert set(np.unique(ratings)) == {1.0, 2.0, 3.0, 4.0, 5.0}


@settings(max_examples=25, deadline=None)
@given(
    users=st.integers(1, 40),
    items=st.integers(1, 40),
    events=st.integers(1, 200),
    zipf=st.floats(0.0, 3.0),
    focus=st.floats(0.0, 10.0),
    seed=st.integers(0, 2**32),
)
def test_every_event_is_of_a_user_and_an_item_that_exist(
    users: int, items: int, events: int, zipf: float, focus: float, seed: int
) -> None:
    data = synthesize(SyntheticConfig(users, items, events, zipf=zipf, focus=focus, seed=seed))
    assert data.ratings.height == events
    assert data.ratings["ts"].is_sorted()
    assert data.ratings["user_id"].is_in(data.users["user_id"].implode()).all()
    assert data.ratings["item_id"].is_in(data.items["item_id"].implode()).all()
    assert data.ratings["value"].is_between(1, 5).all()
    assert data.items["item_id"].to_list() == list(range(1, items + 1))


@pytest.mark.parametrize("field", ["users", "items", "events"])
def test_a_size_of_nothing_is_refused_by_name(field: str) -> None:
    with pytest.raises(SettingsError, match=field):
        SyntheticConfig(**{field: 0})
