"""Logged rows agree with rows computed anew, and a column that does not is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.spec import RETRIEVAL_COLUMNS, FeatureSpec
from models.user import UserState
from services.ingest.tables import catalog_table
from services.pb import events_pb2
from services.trainer.catalog import item_table
from services.trainer.data.interactions import Interactions
from services.trainer.examples.as_of import AsOf
from services.trainer.examples.examples import Examples
from services.trainer.examples.skew import comparable_columns, skew
from tests.trainer.examples.lake_of import microseconds, write_file
from tests.trainer.small_interactions import START, ring

USERS, LENGTH, SLATE = 24, 14, 5
RING = ring(USERS, LENGTH)
SPEC = FeatureSpec.of(item_table(RING.items, RING.events_frame()), RING.profiles)


def lake_of(events: Interactions, lake: Path) -> Path:
    """Users, items and events as the lake holds them."""
    (lake / "events").mkdir(parents=True)
    events.users.write_parquet(lake / "users.parquet")
    events.items.write_parquet(lake / "items.parquet")
    table(events).write_parquet(lake / "events" / "ring.parquet")
    return lake


def table(events: Interactions) -> pl.DataFrame:
    owners = np.repeat(events.users["user_id"].to_numpy(), np.diff(events.offsets))
    return events.events_frame().with_columns(
        user_id=pl.Series(owners), event_id=pl.Series([f"e{row}" for row in range(owners.size)])
    )


def logged(after: int, seconds: int = 30) -> Examples:
    """A slate for each user, `seconds` after their event number `after`, served from the states of that moment."""
    at = START + timedelta(minutes=after, seconds=seconds)
    events = table(RING)
    items = item_table(RING.items, events.filter(pl.col("ts") < at))
    random = np.random.default_rng(after)
    shown = [random.choice(items.ids, SLATE, replace=False) for _ in range(USERS)]
    rows = [
        SPEC.assemble(_user(row, events, at), items, ids, random.random((SLATE, len(RETRIEVAL_COLUMNS)), np.float32),
                      int(at.timestamp() * 1000))
        for row, ids in enumerate(shown)
    ]  # fmt: skip
    count = USERS * SLATE
    return Examples(
        columns=SPEC.columns,
        features=np.concatenate(rows),
        labels=np.zeros(count, np.float32),
        user_ids=np.repeat(RING.users["user_id"].to_numpy(), SLATE),
        item_ids=np.concatenate(shown),
        times_us=np.full(count, microseconds(at), np.int64),
        positions=np.tile(np.arange(1, SLATE + 1), USERS),
        propensities=np.ones(count, np.float32),
        slots=np.full(count, "ranked"),
        arms=np.full(count, "champion"),
        group_sizes=np.full(USERS, SLATE, np.int64),
        recommendation_ids=np.array([f"r{row}" for row in range(USERS)]),
    )


def _user(row: int, events: pl.DataFrame, at: datetime) -> UserState:
    number = int(RING.users["user_id"][row])
    mine = events.filter((pl.col("user_id") == number) & (pl.col("ts") < at)).sort("ts")
    history = mine["item_id"].to_numpy()
    return UserState(
        user_id=number,
        profile=RING.profiles[row],
        history=history,
        history_times=mine["ts"].dt.epoch("ms").to_numpy(),
        history_values=mine["value"].cast(pl.Float32).to_numpy(),
        seen=history,
    )


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return lake_of(RING, tmp_path / "lake")


@pytest.mark.parametrize(("after", "seconds"), [(0, 30), (5, 30), (LENGTH - 1, 30), (6, 0)])
def test_rows_as_served_agree_in_every_column_that_can_be_computed_anew(after: int, seconds: int, lake: Path) -> None:
    report = skew(logged(after, seconds), lake, SPEC)
    assert (report.slates, report.rows) == (USERS, USERS * SLATE)
    assert tuple(report.columns) == comparable_columns(SPEC)
    assert {name: column.equal for name, column in report.columns.items() if column.equal < 1} == {}
    assert report.below(0.98) == []


def test_source_scores_and_their_ranks_are_not_compared() -> None:
    left_out = set(SPEC.columns) - set(comparable_columns(SPEC))
    assert left_out == {*RETRIEVAL_COLUMNS, *(f"{name}_rank" for name in RETRIEVAL_COLUMNS)}


@pytest.mark.parametrize("column", ["genre_match_last", "year", "last_item_1", "age"])
def test_a_column_that_is_computed_otherwise_is_found_with_its_worst_rows(column: str, lake: Path) -> None:
    examples = logged(6)
    features, place = examples.features.copy(), SPEC.columns.index(column)
    features[::4, place] += 1
    features[8, place] += 1
    report = skew(replace(examples, features=features), lake, SPEC)
    assert [name for name, found in report.columns.items() if found.equal < 1] == [column]
    name, found = report.worst()
    assert (name, found.equal) == (column, 0.75)
    assert found.worst[0].recommendation_id == "r1"
    assert found.worst[0].item_id == examples.item_ids[8]
    assert found.worst[0].logged - found.worst[0].computed == pytest.approx(2)
    assert report.below(0.98) == [f"Column {column} differs in 25.0% of {report.rows} logged rows."]


def test_rows_of_a_catalog_that_was_behind_are_found(lake: Path) -> None:
    behind = replace(logged(5), times_us=logged(9).times_us)
    assert skew(behind, lake, SPEC).columns["log_seen_count"].equal == 0


def test_an_event_of_the_last_moments_may_be_missing(lake: Path) -> None:
    # Served a second after an event that features did not know yet: the state is the one half a minute before.
    late = replace(logged(5, seconds=59), times_us=logged(6, seconds=1).times_us)
    report = skew(late, lake, SPEC)
    assert report.columns["last_item_1"].equal == 1
    assert report.columns["log_seen_count"].equal == 1
    too_late = replace(late, times_us=logged(6, seconds=5).times_us)
    assert skew(too_late, lake, SPEC).columns["last_item_1"].equal == 0


def test_a_number_between_the_states_with_and_without_the_newest_events_agrees_and_an_index_does_not(
    lake: Path,
) -> None:
    examples = logged(6, seconds=1)
    features = examples.features.copy()
    counts, newest = SPEC.columns.index("log_seen_count"), SPEC.columns.index("last_item_1")
    features[:, counts] = np.log1p(6.5)
    features[:, newest] = (features[:, newest] + logged(5).features[:, newest]) / 2
    report = skew(replace(examples, features=features), lake, SPEC)
    assert (report.columns["log_seen_count"].equal, report.columns["last_item_1"].equal) == (1, 0)


def test_an_event_at_the_very_moment_of_a_slate_is_not_known_to_it(lake: Path) -> None:
    known, at = AsOf.of(lake), microseconds(START + timedelta(minutes=4))
    users = RING.users["user_id"].to_list()
    assert [user.history.size for user in known.users_before([(user, at) for user in users])] == [4] * USERS
    counts = [known.items_before(np.array([us]), [RING.item_ids])[0].column("event_count") for us in (at, at + 1)]
    assert [np.nansum(count) for count in counts] == [4 * USERS, 5 * USERS]


def test_whatever_the_catalog_topic_touched_is_left_out(lake: Path) -> None:
    examples = logged(6)
    user, item = int(examples.user_ids[0]), int(examples.item_ids[-1])
    changes = [
        events_pb2.CatalogChange(change_id="u", ts_us=1, put_user=events_pb2.UserRecord(id=user)),
        events_pb2.CatalogChange(change_id="i", ts_us=1, delete_item=item),
    ]
    write_file(catalog_table(changes), lake / "catalog" / "date=1970-01-01", "a")
    remembered = {
        row for row in range(USERS) if item in _user(row, table(RING), START + timedelta(minutes=6.5)).history
    }
    report = skew(examples, lake, SPEC)
    assert report.slates == USERS - len(remembered | {0})
    kept = np.isin(np.arange(USERS), [*remembered, 0], invert=True).repeat(SLATE) & (examples.item_ids != item)
    assert report.rows == kept.sum()


def test_a_sample_is_drawn_by_its_seed(lake: Path) -> None:
    examples = logged(6)
    features = examples.features.copy()
    features[: USERS * SLATE // 2, SPEC.columns.index("year")] += 1
    halves = replace(examples, features=features)
    first, same, other = (skew(halves, lake, SPEC, sample=5, seed=seed).columns["year"] for seed in (0, 0, 3))
    assert (first, same.equal) == (same, first.equal)
    assert first.worst != other.worst
    assert skew(halves, lake, SPEC, sample=5).slates == 5


def test_nothing_to_compare_is_no_disagreement(lake: Path) -> None:
    nothing = logged(6).of_slates(np.zeros(USERS, bool))
    report = skew(nothing, lake, SPEC)
    assert (report.rows, report.worst()[1].equal, report.below(1.0)) == (0, 1.0, [])
