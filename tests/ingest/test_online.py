"""The online store after events and catalog changes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from redis import Redis

from services.features.packing import View
from services.ingest import activity
from services.ingest.activity import DAY_US, ItemActivity, UserActivity
from services.ingest.online import OnlineWriter, load_views
from services.ingest.states import item_states, user_states
from services.pb import events_pb2
from services.runtime.errors import Unavailable
from tests.ingest.log import change, event, rows, value

USER_VIEWS = ("user_activity", "user_history", "user_exclusions")


@pytest.fixture
def writer(redis: Redis) -> OnlineWriter:
    return OnlineWriter(redis, load_views(redis))


def stored_user(redis: Redis, layouts: dict[str, View], user_id: int) -> UserActivity:
    return user_states({name: rows(redis, layouts[name], user_id) for name in USER_VIEWS})[0]


def folded(message: events_pb2.Event) -> activity.Event:
    given = message.value if message.HasField("value") else None
    return activity.Event(message.type, message.user_id, message.item_id, message.ts_us, given)


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # NaN equals NaN


@pytest.mark.parametrize("seed", range(5))
def test_redelivered_in_any_portions_the_store_equals_the_fold(
    seed: int, redis: Redis, layouts: dict[str, View], writer: OnlineWriter
) -> None:
    chance = random.Random(seed)
    kinds = ["click", "watch", "like", "dislike", "hide", "follow", "purchase"]
    log = [
        event(
            chance.randint(1, 4), chance.randint(1, 9), chance.choice(kinds), ts_us=chance.randint(1, 9) * DAY_US,
            **({"value": float(chance.randint(1, 5))} if chance.random() < 0.5 else {}),
        )
        for _ in range(60)
    ]  # fmt: skip
    at = 0
    while at < len(log):
        at = max(0, at - chance.randint(0, 15))  # the log goes back to an older offset
        portion = log[at : at + chance.randint(1, 20)]
        writer.write(portion + chance.choices(portion, k=2), [])
        at += len(portion)
    users: dict[int, UserActivity] = {}
    items: dict[int, ItemActivity] = {}
    for message in map(folded, log):
        users[message.user_id] = activity.apply(users.get(message.user_id, UserActivity()), message)
        items[message.item_id] = activity.apply(items.get(message.item_id, ItemActivity()), message)
    for number, user in users.items():
        assert same(stored_user(redis, layouts, number), user)
    stored = item_states(rows(redis, layouts["item_activity"], *items))
    assert stored == list(items.values())


def test_only_new_events_are_returned(writer: OnlineWriter) -> None:
    first, second = event(), event()
    assert writer.write([first, first], []) == [first]
    assert writer.write([first, second], []) == [second]


def test_a_hidden_item_is_excluded_and_not_counted(
    redis: Redis, layouts: dict[str, View], writer: OnlineWriter
) -> None:
    writer.write([event(7, 9, "hide")], [])
    assert value(redis, layouts, "user_exclusions", 7, "hidden").tolist() == [9]
    assert value(redis, layouts, "user_activity", 7, "event_count") == 0


def test_another_writer_in_between_changes_nothing_of_the_sum(
    redis: Redis, layouts: dict[str, View], writer: OnlineWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, late, meanwhile = OnlineWriter(redis, layouts), event(7), event(7)
    read, reads = writer._read, iter([True])

    def read_then_lose(*arguments: Any) -> Any:
        found = read(*arguments)
        if next(reads, False):
            other.write([meanwhile], [])
            other.write([late], [])  # the partition moved: its new owner was faster
        return found

    monkeypatch.setattr(writer, "_read", read_then_lose)
    assert writer.write([late], []) == []
    assert value(redis, layouts, "user_activity", 7, "event_count") == 2


def test_a_put_item_is_in_the_catalog_and_a_deleted_one_is_not(
    redis: Redis, layouts: dict[str, View], writer: OnlineWriter
) -> None:
    record = events_pb2.ItemRecord(
        id=5, item_id="heat", title="Heat", year=1995, genres=["Crime", "Drama"], created_us=3 * DAY_US
    )
    writer.write([event(7, 5)], [change(put_item=record)])
    index = layouts["item_profile"].index
    assert redis.smembers(index) == {b"5"}
    stored = rows(redis, layouts["item_profile"], 5)
    assert [stored.values(name)[0] for name in ("external_id", "title", "year", "genres")] == [
        "heat", "Heat", 1995, ("Crime", "Drama")
    ]  # fmt: skip
    assert stored.values("created_days") == [3.0]
    writer.write([], [change(delete_item=5)])
    assert redis.smembers(index) == set()
    assert rows(redis, layouts["item_profile"], 5).presence.tolist() == [1]
    assert rows(redis, layouts["item_activity"], 5).presence.tolist() == [1]


def test_a_put_that_does_not_say_when_keeps_the_first_date(
    redis: Redis, layouts: dict[str, View], writer: OnlineWriter
) -> None:
    first = change(put_item=events_pb2.ItemRecord(id=5, title="Heet"))
    first.ts_us = 3 * DAY_US
    writer.write([], [first])
    writer.write([], [change(put_item=events_pb2.ItemRecord(id=5, title="Heat"))])
    assert value(redis, layouts, "item_profile", 5, "title") == "Heat"
    assert value(redis, layouts, "item_profile", 5, "created_days") == 3.0


def test_the_last_change_of_a_batch_counts(redis: Redis, layouts: dict[str, View], writer: OnlineWriter) -> None:
    put = change(put_item=events_pb2.ItemRecord(id=5, title="Heat"))
    writer.write([], [change(delete_item=5), put])
    assert value(redis, layouts, "item_profile", 5, "title") == "Heat"
    gone = change(delete_item=5)
    writer.write([], [put, gone])  # the put is delivered again; it was done long ago
    assert redis.smembers(layouts["item_profile"].index) == set()


def test_a_deleted_user_is_forgotten_in_every_view(
    redis: Redis, layouts: dict[str, View], writer: OnlineWriter
) -> None:
    record = events_pb2.UserRecord(id=7, user_id="ann", profile={"gender": "F", "shoe": "41"})
    writer.write([event(7)], [change(put_user=record)])
    assert value(redis, layouts, "user_profile", 7, "gender") == "F"
    assert value(redis, layouts, "user_profile", 7, "age") is None
    writer.write([], [change(delete_user=7)])
    for name in ("user_profile", *USER_VIEWS):
        assert rows(redis, layouts[name], 7).presence.tolist() == [1]


def test_without_definitions_nothing_is_written_blindly(redis: Redis) -> None:
    redis.flushdb()
    with pytest.raises(Unavailable, match="apply the feature definitions"):
        load_views(redis)


def test_the_largest_id_fits(redis: Redis, layouts: dict[str, View], writer: OnlineWriter) -> None:
    largest = (1 << 63) - 1
    writer.write([event(largest, largest)], [])
    history = value(redis, layouts, "user_history", largest, "history")
    assert history.astype(np.uint64).tolist() == [largest]


def test_what_came_before_a_deletion_stays_forgotten_however_late_it_comes(
    redis: Redis, layouts: dict[str, View], writer: OnlineWriter
) -> None:
    late, after = event(7, 5, "watch"), event(7, 5, "watch")
    gone = change(delete_item=5)
    late.ts_us, after.ts_us = gone.ts_us - 1, gone.ts_us + 1
    writer.write([], [gone])
    writer.write([late], [])
    assert rows(redis, layouts["item_activity"], 5).presence.tolist() == [1]
    assert value(redis, layouts, "user_activity", 7, "event_count") == 1
    writer.write([after], [])
    assert value(redis, layouts, "item_activity", 5, "event_count") == 1


@pytest.mark.parametrize("together", [True, False])
def test_a_deletion_and_events_around_it_leave_those_after_it(
    together: bool, redis: Redis, layouts: dict[str, View], writer: OnlineWriter
) -> None:
    gone = change(delete_user=7)
    before, after = event(7, 1), event(7, 2)
    before.ts_us, after.ts_us = gone.ts_us - 1, gone.ts_us + 1
    if together:
        writer.write([before, after], [gone])
    else:
        writer.write([before], [])
        writer.write([], [gone])
        writer.write([after], [])
    assert value(redis, layouts, "user_history", 7, "history").tolist() == [2]
    assert value(redis, layouts, "item_activity", 1, "event_count") == 1


@pytest.mark.parametrize("together", [True, False])
def test_an_item_put_twice_keeps_its_first_date_in_one_batch_or_in_two(
    together: bool, redis: Redis, layouts: dict[str, View], writer: OnlineWriter
) -> None:
    puts = [change(put_item=events_pb2.ItemRecord(id=5, title=title)) for title in ("Heet", "Heat")]
    puts[0].ts_us = 3 * DAY_US
    for portion in [puts] if together else [[put] for put in puts]:
        writer.write([], portion)
    assert value(redis, layouts, "item_profile", 5, "title") == "Heat"
    assert value(redis, layouts, "item_profile", 5, "created_days") == 3.0
