"""Who turned to what, in order: sequences for the models that learn from order, and users as of any event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.user import HISTORY_LENGTH, UserState
from services.ingest.activity import HISTORY_TYPES, SEEN_LENGTH
from services.runtime.errors import SettingsError
from services.trainer.data.lake import read_events


@dataclass(frozen=True, eq=False)
class Interactions:
    """The events of U users, grouped by user, each user's in the order they happened.

    interactions = Interactions.load(lake)
    earlier = interactions.leave_last(1)                # without each user's last event
    state = interactions.state_before(user=3, last=1)   # user row 3, right before their last event
    """

    users: pl.DataFrame
    """(U,) the lake's users that have events, sorted by user_id."""
    items: pl.DataFrame
    """The lake's items."""
    offsets: NDArray[np.int64]
    """(U + 1,) events of user row u are at offsets[u] : offsets[u + 1]."""
    item_ids: NDArray[np.uint64]
    """(E,)"""
    times_ms: NDArray[np.int64]
    """(E,) milliseconds since 1970."""
    values: NDArray[np.float32]
    """(E,) rating, NaN where the event carries none."""

    @classmethod
    def load(cls, lake: Path, before: datetime | None = None) -> Interactions:
        """The lake's events of the kinds that make history, of earlier than `before` when it is given.

        A user's second event with an item moves it to the end.
        """
        events = read_events(lake)
        if before is not None:
            events = events.filter(pl.col("ts") < before)
        return cls.of(pl.read_parquet(lake / "users.parquet"), pl.read_parquet(lake / "items.parquet"), events)

    @classmethod
    def of(cls, users: pl.DataFrame, items: pl.DataFrame, events: pl.DataFrame) -> Interactions:
        """From the lake's three tables; events of items outside the catalog are left out."""
        rows = (
            events.filter(pl.col("type").is_in(list(HISTORY_TYPES)))
            .join(items.select("item_id"), on="item_id", how="semi", maintain_order="left")
            .unique(["user_id", "item_id"], keep="last", maintain_order=True)
            .sort("user_id", "ts", maintain_order=True)
        )
        counts = rows.group_by("user_id", maintain_order=True).len()
        known = counts.select("user_id").join(users, on="user_id", how="left", maintain_order="left")
        return cls(
            users=known,
            items=items,
            offsets=np.concatenate([[0], np.cumsum(counts["len"].to_numpy())]).astype(np.int64),
            item_ids=rows["item_id"].to_numpy(),
            times_ms=rows["ts"].dt.epoch("ms").to_numpy(),
            values=rows["value"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        )

    def __len__(self) -> int:
        """Number of users."""
        return self.offsets.size - 1

    @cached_property
    def profiles(self) -> list[dict[str, str]]:
        """(U,) categorical attributes of each user; the unknown ones are left out."""
        columns = [name for name in ("gender", "age", "occupation", "region") if name in self.users.columns]
        return [
            {name: value for name, value in row.items() if value is not None}
            for row in self.users.select(columns).iter_rows(named=True)
        ]

    @cached_property
    def sequences(self) -> list[NDArray[np.uint64]]:
        """(U,) arrays of item ids, oldest first."""
        return np.split(self.item_ids, self.offsets[1:-1])

    def leave_last(self, count: int) -> Interactions:
        """Without the last `count` events of each user, but with everybody's first one, which is never a target."""
        whole = np.diff(self.offsets)
        lengths = np.maximum(whole - count, np.minimum(whole, 1))
        places = np.arange(self.item_ids.size) - np.repeat(self.offsets[:-1], np.diff(self.offsets))
        kept = places < np.repeat(lengths, np.diff(self.offsets))
        return Interactions(
            self.users,
            self.items,
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            self.item_ids[kept],
            self.times_ms[kept],
            self.values[kept],
        )

    def require_order(self) -> None:
        """SettingsError unless somebody turned to three items: one to start from, one to learn, one to be tested."""
        if np.diff(self.offsets).max(initial=0) < 3:
            raise SettingsError("No user has events with three different items: there is no order to learn from.")

    def state_before(self, user: int, last: int = 1) -> UserState:
        """User row `user` right before the `last`-th event from the end; last = 0 is the state after all events."""
        end = max(int(self.offsets[user + 1]) - last, int(self.offsets[user]))
        begin = max(end - HISTORY_LENGTH, int(self.offsets[user]))
        seen = max(end - SEEN_LENGTH, int(self.offsets[user]))
        return UserState(
            user_id=int(self.users["user_id"][user]),
            profile=self.profiles[user],
            history=self.item_ids[begin:end],
            history_times=self.times_ms[begin:end],
            history_values=self.values[begin:end],
            activity={},
            at_ms=int(self.times_ms[end]) if end < int(self.offsets[user + 1]) else 0,
            seen=self.item_ids[seen:end],
        )

    def targets(self, last: int = 1) -> Iterator[tuple[int, int, int]]:
        """(user row, item id, time in ms) of each user's `last`-th event from the end that another precedes."""
        for user in range(len(self)):
            at = int(self.offsets[user + 1]) - last
            if at > int(self.offsets[user]):
                yield user, int(self.item_ids[at]), int(self.times_ms[at])

    def events_frame(self) -> pl.DataFrame:
        """The events as the lake's columns type, item_id, ts and value: what `item_table` counts."""
        return pl.DataFrame({"item_id": self.item_ids, "ts": self.times_ms, "value": self.values}).select(
            pl.lit("watch").alias("type"),
            "item_id",
            pl.from_epoch("ts", "ms").dt.replace_time_zone("UTC"),
            pl.col("value").fill_nan(None),
        )
