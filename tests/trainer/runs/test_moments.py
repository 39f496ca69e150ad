"""What refitted retrieval models may see, and what they are asked instead."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from services.trainer.data.interactions import Interactions
from services.trainer.runs.moments import FRESH_USERS, Retraining
from tests.trainer.small_interactions import START, ring_tables

FULL_AT = START + timedelta(days=1)
KNOWN_UNTIL = START + timedelta(days=2)
NOW = START + timedelta(days=4)
CLICKED_AT = START + timedelta(days=3)
NEW = 1


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ring, after which every even user went around to item NEW, and user 1 did after the run began."""
    lake = tmp_path_factory.mktemp("lake")
    (lake / "events").mkdir()
    users, items, events = ring_tables(users=60, length=10, first_item=NEW + 1)
    items = pl.concat([items.head(1).with_columns(item_id=pl.lit(NEW, pl.UInt64)), items])
    clicked = list(range(2, 61, 2))
    live = pl.DataFrame(
        {
            "event_id": [f"live-{user}" for user in [*clicked, 1]],
            "type": "click",
            "user_id": [*clicked, 1],
            "item_id": NEW,
            "ts": [*[CLICKED_AT] * len(clicked), NOW],
            "value": None,
        },
        schema=events.schema,
    )
    users.write_parquet(lake / "users.parquet")
    items.write_parquet(lake / "items.parquet")
    pl.concat([events, live]).write_parquet(lake / "events" / "all.parquet")
    return lake


@pytest.fixture(scope="module")
def divided(lake: Path) -> Retraining:
    return Retraining.of(lake, FULL_AT, KNOWN_UNTIL, NOW, seed=0)


def sequences(interactions: Interactions) -> dict[int, list[int]]:
    return dict(zip(interactions.users["user_id"].to_list(), (s.tolist() for s in interactions.sequences), strict=True))


def test_the_test_event_of_the_full_run_is_never_seen_and_always_asked(divided: Retraining, lake: Path) -> None:
    users, items = pl.read_parquet(lake / "users.parquet"), pl.read_parquet(lake / "items.parquet")
    events = pl.read_parquet(lake / "events" / "all.parquet").filter(pl.col("ts") < FULL_AT)
    before = Interactions.of(users, items, events)
    last = {user: items[-1] for user, items in sequences(before).items()}
    assert all(last[user] not in items for user, items in sequences(divided.known).items())
    standing = {moment.user.user_id: moment for moment in divided.moments if moment.target != NEW}
    assert {user: moment.target for user, moment in standing.items()} == last
    assert all(moment.user.history.size == 9 for moment in standing.values())


def test_of_what_came_since_one_user_in_some_is_asked_and_the_others_are_learned(divided: Retraining) -> None:
    asked = {moment.user.user_id for moment in divided.moments if moment.target == NEW}
    learned = {user for user, items in sequences(divided.known).items() if NEW in items}
    assert asked | learned == set(range(2, 61, 2))
    assert not asked & learned
    assert 1 <= len(asked) <= 30 // FRESH_USERS * 3


def test_what_happened_after_the_run_began_is_left_to_the_next(divided: Retraining) -> None:
    assert NEW not in sequences(divided.known)[1]


def test_the_same_lake_is_divided_the_same_way_and_moments_are_bounded(lake: Path, divided: Retraining) -> None:
    again = Retraining.of(lake, FULL_AT, KNOWN_UNTIL, NOW, seed=0)
    assert [(m.user.user_id, m.target) for m in again.moments] == [(m.user.user_id, m.target) for m in divided.moments]
    np.testing.assert_array_equal(again.known.item_ids, divided.known.item_ids)
    few = Retraining.of(lake, FULL_AT, KNOWN_UNTIL, NOW, seed=0, count=3).moments
    assert len([moment for moment in few if moment.target != NEW]) == 3
