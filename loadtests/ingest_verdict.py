"""Whether ingest did with a load what it should: lake, features and dead letters against what was sent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from redis import Redis

from loadtests.ingest_events import Load, expected
from loadtests.lake_ids import live_event_ids
from services.features.rows import Rows, unpack
from services.ingest.activity import Counts, ItemActivity, UserActivity
from services.ingest.letters import Letter
from services.ingest.online import USER_VIEWS, load_views
from services.ingest.states import item_states, user_states


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found; numbers of events, of entities or of letters."""

    in_lake: int
    missing: int
    doubled: int
    wrong_features: int
    """Users and items whose features are not the fold of their events, or who should have none."""
    letters: int
    letters_twice: int
    """Written again by the next owner of the partition: a letter is at least once, and its key tells."""
    letters_wrong: int
    """Malformed records without a letter, and letters about anything else."""

    @property
    def well(self) -> bool:
        return not (self.missing or self.doubled or self.wrong_features or self.letters_wrong)


def verdict(redis: Redis, lake: Path, letters: Sequence[Letter], sent: Load) -> Verdict:
    """Compares the stores with what was sent."""
    in_lake = Counter(live_event_ids(lake))
    about = {letter.key: letter.message.value for letter in letters}
    return Verdict(
        in_lake=in_lake.total(),
        missing=len(sent.events.keys() - in_lake.keys()),
        doubled=sum(times - 1 for times in in_lake.values()) + len(in_lake.keys() - sent.events.keys()),
        wrong_features=_wrong_features(redis, sent),
        letters=len(letters),
        letters_twice=len(letters) - len(about),
        letters_wrong=len(set(about.values()) ^ sent.malformed) + abs(len(about) - len(sent.malformed)),
    )


def _wrong_features(redis: Redis, sent: Load) -> int:
    users, items = expected(list(sent.events.values()))
    found_users = user_states({name: _rows(redis, name, sorted(users)) for name in USER_VIEWS})
    found_items = item_states(_rows(redis, "item_activity", sorted(items)))
    wrong = sum(not _same_user(users[number], found) for number, found in zip(sorted(users), found_users, strict=True))
    wrong += sum(not _same_item(items[number], found) for number, found in zip(sorted(items), found_items, strict=True))
    strangers = _keys(redis, "user_activity") - len(users), _keys(redis, "item_activity") - len(items)
    return wrong + sum(map(abs, strangers))


def _rows(redis: Redis, name: str, ids: list[int]) -> Rows:
    view, numbers = load_views(redis)[name], np.array(ids, np.uint64)
    return unpack(view, numbers, redis.mget(view.keys(numbers)))  # type: ignore[arg-type]  # the stub allows for a coroutine


def _keys(redis: Redis, name: str) -> int:
    return sum(1 for _ in redis.scan_iter(load_views(redis)[name].prefix + b"*", count=1000))


def _same_user(one: UserActivity, other: UserActivity) -> bool:
    excluded = all(
        set(getattr(one.exclusions, name)) == set(getattr(other.exclusions, name)) for name in ("seen", "hidden")
    )
    history = repr(one.history) == repr(other.history)  # NaN equals NaN
    return excluded and history and _same_counts(one.counts, other.counts) and one.updated_us == other.updated_us


def _same_item(one: ItemActivity, other: ItemActivity) -> bool:
    return _same_counts(one.counts, other.counts) and one.updated_us == other.updated_us


def _same_counts(one: Counts, other: Counts) -> bool:
    exact = ("event_count", "like_count", "judged_count", "value_count", "last_seen_us")
    rounded = ("value_sum", "recent_count")
    return all(getattr(one, name) == getattr(other, name) for name in exact) and all(
        math.isclose(getattr(one, name), getattr(other, name), rel_tol=1e-5, abs_tol=1e-9) for name in rounded
    )
