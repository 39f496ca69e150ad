"""The system and the world share no rating; people are the same for the same data and seed."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from loadtests.simulation.base import copied, fill_lake
from loadtests.simulation.fitting import ANCHORS, fit_world, logistic
from loadtests.simulation.split import FIRST, Split, split
from loadtests.simulation.world import World, sigmoid
from services.trainer.data.lake import read_events
from tests.loadtests.small_people import small_ratings, small_world

KEY = ["user_id", "item_id"]


@pytest.fixture(scope="module")
def parts() -> Split:
    return split(small_ratings(users=60, items=120, each=50))


def test_the_systems_lake_holds_the_first_ratings_and_none_of_the_worlds(parts: Split, tmp_path: Path) -> None:
    fill_lake(tmp_path / "lake", "ml-1m", parts)
    events = read_events(tmp_path / "lake")
    assert events.group_by("user_id").len()["len"].unique().to_list() == [FIRST]
    assert events.join(parts.held_out, on=KEY, how="semi").is_empty()
    assert events.height + parts.held_out.height == 60 * 50


def test_ratings_of_one_second_are_split_by_their_place_in_the_file() -> None:
    data = small_ratings(users=2, items=80, each=30)
    first = data.ratings.filter(pl.col("user_id") == 1).head(FIRST)
    assert split(data).seen.ratings.filter(pl.col("user_id") == 1).equals(first)


def test_the_same_ratings_make_the_same_people_and_a_file_keeps_them(parts: Split, tmp_path: Path) -> None:
    world = fit_world(parts)
    world.save(tmp_path / "world.npz")
    for again in (fit_world(parts), World.load(tmp_path / "world.npz")):
        assert all(np.array_equal(getattr(world, field.name), getattr(again, field.name)) for field in fields(World))


def test_odds_meet_the_scale_and_tell_taken_items_from_others(parts: Split) -> None:
    world = fit_world(parts)
    rows = np.arange(world.user_ids.size)
    chance, free = world.selected(rows), world.pool(rows)
    best = -np.sort(-np.where(free, chance, 0.0), axis=1)[:, :10] @ (1.0 / np.arange(1, 11))
    assert best.mean() <= ANCHORS[1] + 1e-6
    own = (world.item_ids[None] % 2) == (1 + world.user_ids[:, None] % 2) % 2
    assert chance[own].mean() > 2 * chance[~own].mean()
    satisfied = world.satisfied(rows)
    assert satisfied.min() > 0.0
    assert satisfied.max() < 1.0


def test_what_the_system_knew_of_a_user_is_never_in_the_pool(parts: Split) -> None:
    world = fit_world(parts)
    rows = np.array([5, 2])
    free = world.pool(rows)
    for place, row in enumerate(rows.tolist()):
        user = int(world.user_ids[row])
        known = parts.seen.ratings.filter(pl.col("user_id") == user)["item_id"].to_numpy()
        assert set(world.item_ids[~free[place]].tolist()) == set(known.tolist())


def test_more_people_than_there_are_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="9 users are wanted; only 4"):
        small_world().people(0, 9)


def test_the_regression_finds_the_weights_that_made_the_answers() -> None:
    random = np.random.default_rng(0)
    inputs = np.concatenate([random.normal(size=(40_000, 2)), np.ones((40_000, 1))], axis=1)
    true = np.array([1.5, -0.7, -1.0])
    answers = (random.random(40_000) < sigmoid(inputs @ true)).astype(np.float64)
    assert logistic(inputs, answers) == pytest.approx(true, abs=0.06)


def test_an_arms_copy_can_change_without_changing_the_base(tmp_path: Path) -> None:
    base = tmp_path / "base"
    for name in ("artifacts/ranker/manifest.json", "mlflow.db", "redis/appendonly.aof", "lake/events/a.parquet"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text("base")
    with copied(base) as folder:
        for name in ("mlflow.db", "redis/appendonly.aof"):
            (folder / name).write_text("arm")
        (folder / "lake" / "events" / "a.parquet").unlink()
    assert not folder.exists()
    assert {path.read_text() for path in base.rglob("*") if path.is_file()} == {"base"}
    assert (base / "lake" / "events" / "a.parquet").is_file()
