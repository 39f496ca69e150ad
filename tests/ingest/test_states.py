from __future__ import annotations

import math
import random

import numpy as np

from services.features.definitions import views
from services.features.packing import pack
from services.features.rows import Rows, unpack
from services.ingest.activity import DAY_US, Event, ItemActivity, UserActivity, apply
from services.ingest.states import Columns, item_columns, item_states, user_columns, user_states

VIEWS = views()


def _events(draw: random.Random, count: int) -> list[Event]:
    types = ("click", "watch", "like", "dislike", "hide")
    return [
        Event(draw.choice(types), 1, draw.randrange(1, 2**62), draw.randrange(900) * DAY_US, draw.choice([None, 3.0]))
        for _ in range(count)
    ]


def _stored(view: str, columns: Columns, count: int, times: list[int]) -> Rows:
    ids = np.arange(1, count + 1, dtype=np.uint64)
    return unpack(VIEWS[view], ids, list(pack(VIEWS[view], ids, columns, np.array(times, np.int64)).values()))


def test_user_states_survive_the_store_to_the_last_bit() -> None:
    draw = random.Random(5)
    users = [UserActivity() for _ in range(4)]
    for number in range(1, 4):
        for event in _events(draw, 10 * number):
            users[number] = apply(users[number], event)
    times = [user.updated_us for user in users]
    rows = {view: _stored(view, columns, 4, times) for view, columns in user_columns(users).items()}
    assert repr(user_states(rows)) == repr(users)


def test_item_states_survive_the_store_to_the_last_bit() -> None:
    item = ItemActivity()
    for event in _events(random.Random(6), 30):
        item = apply(item, event)
    rows = _stored("item_activity", item_columns([item])["item_activity"], 1, [item.updated_us])
    assert item_states(rows) == [item]


def test_an_entity_never_written_has_an_empty_state() -> None:
    ids = np.array([1], np.uint64)
    absent = {view: unpack(VIEWS[view], ids, [None]) for view in ("user_activity", "user_history", "user_exclusions")}
    assert user_states(absent) == [UserActivity()]
    assert item_states(unpack(VIEWS["item_activity"], ids, [None])) == [ItemActivity()]


def test_rates_and_days_derive_from_the_state() -> None:
    item = apply(ItemActivity(), Event("watch", 1, 1, 3 * DAY_US, 5.0))
    columns = item_columns([item, ItemActivity()])["item_activity"]
    assert columns["last_seen_days"][0] == 3.0
    assert math.isnan(columns["last_seen_days"][1])
    assert columns["like_rate"][0] == item.counts.like_rate
