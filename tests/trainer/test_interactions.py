"""Sequences, cuts, targets, and users as of an event."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.user import HISTORY_LENGTH
from services.runtime.errors import SettingsError
from services.trainer.data.interactions import Interactions

CATALOG = range(1, 400)
START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())


def _interactions(rows: list[tuple[int, int, str]]) -> Interactions:
    """(user, item, type) a second apart; user 1 is the only one with a profile."""
    schema = {"user_id": pl.UInt64, "item_id": pl.UInt64, "type": pl.String}
    events = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("row")
    users = pl.DataFrame({"user_id": [1], "gender": ["F"], "age": [None]}, schema_overrides={"user_id": pl.UInt64})
    return Interactions.of(
        users,
        pl.DataFrame({"item_id": CATALOG}, schema={"item_id": pl.UInt64}),
        events.with_columns(
            ts=pl.from_epoch(pl.col("row").cast(pl.Int64) + START, "s").dt.replace_time_zone("UTC"),
            value=pl.when(pl.col("type") == "watch").then(pl.lit(4.0, dtype=pl.Float32)),
        ),
    )


def _watches(*pairs: tuple[int, int]) -> Interactions:
    return _interactions([(user, item, "watch") for user, item in pairs])


def test_sequences_are_grouped_by_user_in_the_order_of_time() -> None:
    interactions = _watches((2, 30), (1, 10), (2, 10), (1, 20))
    assert [sequence.tolist() for sequence in interactions.sequences] == [[10, 20], [30, 10]]
    assert interactions.users["user_id"].to_list() == [1, 2]


def test_a_second_event_with_an_item_moves_it_to_the_end() -> None:
    assert _watches((1, 10), (1, 20), (1, 10)).sequences[0].tolist() == [20, 10]


def test_events_of_items_outside_the_catalog_are_left_out() -> None:
    assert _watches((1, 10), (1, 999), (1, 20)).item_ids.tolist() == [10, 20]


def test_dislikes_and_hides_are_no_history() -> None:
    interactions = _interactions([(1, 10, "click"), (1, 20, "dislike"), (1, 30, "hide")])
    assert interactions.item_ids.tolist() == [10]
    assert np.isnan(interactions.values).tolist() == [True]


def test_leaving_the_last_keeps_the_first_event_of_everybody_which_is_no_target() -> None:
    interactions = _watches((1, 10), (1, 20), (1, 30), (2, 10))
    shorter = interactions.leave_last(2)
    assert [sequence.tolist() for sequence in shorter.sequences] == [[10], [10]]
    assert [sequence.tolist() for sequence in interactions.leave_last(9).sequences] == [[10], [10]]
    assert shorter.times_ms.tolist() == [START * 1000, (START + 3) * 1000]


def test_events_without_an_order_are_refused_with_a_sentence() -> None:
    _watches((1, 10), (2, 20), (2, 30), (2, 10)).require_order()
    with pytest.raises(SettingsError, match="No user has events with three different items"):
        _watches((1, 10), (2, 10), (2, 20), (2, 10)).require_order()


def test_the_state_before_an_event_does_not_know_it() -> None:
    interactions = _watches((1, 10), (1, 20), (1, 30))
    state = interactions.state_before(0)
    assert state.history.tolist() == [10, 20]
    assert state.history_times.tolist() == [START * 1000, START * 1000 + 1000]
    assert state.history_values.tolist() == [4.0, 4.0]
    assert state.seen.tolist() == [10, 20]
    assert interactions.state_before(0, last=0).history.tolist() == [10, 20, 30]
    assert interactions.state_before(0, last=9).is_cold


def test_a_history_holds_the_newest_events_and_seen_holds_them_all() -> None:
    interactions = _watches(*[(1, item) for item in range(100, 100 + HISTORY_LENGTH + 30)])
    state = interactions.state_before(0)
    assert state.history.tolist() == list(range(129, 129 + HISTORY_LENGTH))
    assert state.seen.tolist() == list(range(100, 129 + HISTORY_LENGTH))


def test_profiles_leave_out_what_is_unknown() -> None:
    interactions = _watches((1, 10), (2, 20))
    assert interactions.profiles == [{"gender": "F"}, {}]
    assert interactions.state_before(0).profile == {"gender": "F"}


def test_targets_are_events_that_another_precedes() -> None:
    interactions = _watches((1, 10), (1, 20), (1, 30), (2, 10), (3, 10), (3, 20))
    assert list(interactions.targets()) == [(0, 30, (START + 2) * 1000), (2, 20, (START + 5) * 1000)]
    assert list(interactions.targets(last=2)) == [(0, 20, (START + 1) * 1000)]


def test_events_come_back_as_the_lake_has_them() -> None:
    frame = _interactions([(1, 10, "watch"), (1, 20, "click")]).events_frame()
    assert frame["item_id"].to_list() == [10, 20]
    assert frame["ts"][1] == datetime.fromtimestamp(START + 1, UTC)
    assert frame["value"].to_list() == [4.0, None]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9)), min_size=1, max_size=60), st.integers(0, 4))
def test_a_cut_is_what_the_targets_and_states_agree_on(pairs: list[tuple[int, int]], last: int) -> None:
    """Before the last-th event: the sequence of the cut, the state's history and what precedes the target are one."""
    interactions = _watches(*pairs)
    cut = interactions.leave_last(last).sequences
    for user, sequence in enumerate(interactions.sequences):
        left = sequence[: max(sequence.size - last, 0)].tolist()
        assert cut[user].tolist() == (left or sequence[:1].tolist())
        assert interactions.state_before(user, last).history.tolist() == left
    for user, item, _ in interactions.targets(last) if last else ():
        assert interactions.sequences[user].tolist()[len(cut[user])] == item
