"""The fold: what one event changes in the activity of a user and of an item.

    state = apply(state, event)

The stream writer applies events as they come, the history builder in time order; both reach the same state. Counts
and sums commute. A decayed count is kept as of the newest event and moved lazily, so a late event adds the weight
it would have by then. The history is sorted by time, and by item within a millisecond, and holds every item once, at
its newest event. What was seen and hidden are sets: beyond their bounds those that arrived first fall out.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from typing import TypeVar

from models.user import HISTORY_LENGTH

RECENT_HALF_LIFE_DAYS = 30.0
"""Half-life of recent_count."""
SEEN_LENGTH = 4096
"""Newest items remembered as seen."""
HIDDEN_LENGTH = 1024
"""Newest items remembered as hidden."""
LIKE_VALUE = 4.0
"""A rating from here on is a like."""
MAX_RATING = 5.0
"""Ratings run up to here; a larger value is a duration or a price and says nothing of taste."""
PRIOR_WEIGHT = 5.0
"""Pseudo-events behind the smoothed rates."""
PRIOR_LIKE_RATE = 0.5
"""Like rate of an entity without judgements."""
PRIOR_VALUE = 3.5
"""Mean value of an entity without ratings."""

DAY_US = 86_400_000_000

HISTORY_TYPES = frozenset({"click", "watch", "like", "follow", "purchase"})
"""Events that enter the history: each says the user turned to the item."""
RATED_TYPES = frozenset({"watch", "like", "dislike"})
"""Events whose value may be a rating."""
JUDGED_TYPES = frozenset({"like", "dislike"})
"""Events that judge the item even without a value."""


@dataclass(frozen=True, slots=True)
class Event:
    """What the fold needs to know of an event."""

    type: str
    """click, watch, like, dislike, hide, follow or purchase."""
    user_id: int
    item_id: int
    ts_us: int
    """Microseconds since 1970."""
    value: float | None = None

    @property
    def rating(self) -> float | None:
        """The value when it is a rating of 0 to 5, else None."""
        if self.value is None or self.type not in RATED_TYPES or not 0.0 <= self.value <= MAX_RATING:
            return None
        return self.value

    @property
    def is_like(self) -> bool:
        return self.type == "like" or (self.rating is not None and self.rating >= LIKE_VALUE)

    @property
    def is_judgement(self) -> bool:
        return self.type in JUDGED_TYPES or self.rating is not None


@dataclass(frozen=True, slots=True)
class Counts:
    """Sufficient statistics of an entity's events; a hide is an instruction and is not counted."""

    event_count: int = 0
    like_count: int = 0
    judged_count: int = 0
    value_count: int = 0
    value_sum: float = 0.0
    recent_count: float = 0.0
    """Events decayed with RECENT_HALF_LIFE_DAYS, as of last_seen_us."""
    last_seen_us: int = 0

    @property
    def like_rate(self) -> float:
        """(likes + prior) / (judgements + prior), 0..1."""
        return (self.like_count + PRIOR_WEIGHT * PRIOR_LIKE_RATE) / (self.judged_count + PRIOR_WEIGHT)

    @property
    def mean_value(self) -> float:
        """Mean rating, drawn towards PRIOR_VALUE."""
        return (self.value_sum + PRIOR_WEIGHT * PRIOR_VALUE) / (self.value_count + PRIOR_WEIGHT)

    def after(self, event: Event) -> Counts:
        """The counts with one event more, early or late."""
        if event.type == "hide":
            return self
        newest = max(self.last_seen_us, event.ts_us) if self.event_count else event.ts_us
        rating = event.rating
        return Counts(
            event_count=self.event_count + 1,
            like_count=self.like_count + event.is_like,
            judged_count=self.judged_count + event.is_judgement,
            value_count=self.value_count + (rating is not None),
            value_sum=self.value_sum + (rating or 0.0),
            recent_count=self.recent_count * decay(newest - self.last_seen_us) + decay(newest - event.ts_us),
            last_seen_us=newest,
        )


def decay(elapsed_us: int) -> float:
    """What is left of a count of one after `elapsed_us` microseconds: 2 ** -(elapsed / half-life)."""
    return math.exp2(-elapsed_us / (RECENT_HALF_LIFE_DAYS * DAY_US))


@dataclass(frozen=True, slots=True)
class History:
    """The newest HISTORY_LENGTH items a user turned to, oldest first, parallel tuples."""

    items: tuple[int, ...] = ()
    times_ms: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    """Ratings; NaN where the event carried none."""

    def after(self, event: Event) -> History:
        """The history with the event in its place by time; an item stands only at its newest event.

        Of two events of one item at one millisecond the one with the higher rating stays, any rating before none.
        """
        if event.type not in HISTORY_TYPES:
            return self
        rating = event.rating
        time_ms, value = event.ts_us // 1000, math.nan if rating is None else rating
        items, times, values = list(self.items), list(self.times_ms), list(self.values)
        if event.item_id in items:
            at = items.index(event.item_id)
            if (times[at], _rank(values[at])) >= (time_ms, _rank(value)):
                return self
            del items[at], times[at], values[at]
        start, end = bisect_left(times, time_ms), bisect_right(times, time_ms)
        place = bisect_left(items, event.item_id, start, end)
        items.insert(place, event.item_id)
        times.insert(place, time_ms)
        values.insert(place, value)
        newest = slice(-HISTORY_LENGTH, None)
        return History(tuple(items[newest]), tuple(times[newest]), tuple(values[newest]))


def _rank(value: float) -> float:
    return -1.0 if math.isnan(value) else value


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What is not to be shown again, in order of arrival; beyond the bounds the oldest falls out."""

    seen: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()

    def after(self, event: Event) -> Exclusions:
        if event.type == "hide":
            return replace(self, hidden=_with_newest(self.hidden, event.item_id, HIDDEN_LENGTH))
        return replace(self, seen=_with_newest(self.seen, event.item_id, SEEN_LENGTH))


def _with_newest(ids: tuple[int, ...], new: int, bound: int) -> tuple[int, ...]:
    if new in ids:
        at = ids.index(new)
        ids = ids[:at] + ids[at + 1 :]
    return (*ids, new)[-bound:]


@dataclass(frozen=True, slots=True)
class UserActivity:
    """Everything the stream knows of a user."""

    counts: Counts = field(default_factory=Counts)
    history: History = field(default_factory=History)
    exclusions: Exclusions = field(default_factory=Exclusions)
    updated_us: int = 0
    """Time of the newest event of any kind."""

    def after(self, event: Event) -> UserActivity:
        return UserActivity(
            self.counts.after(event),
            self.history.after(event),
            self.exclusions.after(event),
            max(self.updated_us, event.ts_us),
        )


@dataclass(frozen=True, slots=True)
class ItemActivity:
    """Everything the stream knows of an item."""

    counts: Counts = field(default_factory=Counts)
    updated_us: int = 0
    """Time of the newest event of any kind."""

    def after(self, event: Event) -> ItemActivity:
        return ItemActivity(self.counts.after(event), max(self.updated_us, event.ts_us))


State = TypeVar("State", UserActivity, ItemActivity)


def apply(state: State, event: Event) -> State:
    """The state after one event. Pure; events may come in any order, each once."""
    return state.after(event)
