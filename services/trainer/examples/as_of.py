"""Users and items as they were right before past moments, rebuilt from the lake with the code that serves.

Exact for whoever the catalog topic never touched: what an item was called before a change is not in the lake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.items import ITEM_COLUMNS, ItemRows, ItemTable
from models.user import UserState
from services.ingest.activity import SEEN_LENGTH, Event, History
from services.trainer.data.lake import read_events
from services.trainer.history import activity, item_profiles

PROFILE_ATTRIBUTES = ("gender", "age", "occupation", "region")
_MOMENT = "moment"


@dataclass(frozen=True, eq=False)
class AsOf:
    """What the lake knows."""

    events: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame
    changed_users: NDArray[np.uint64]
    """Ids that the catalog topic put or deleted."""
    changed_items: NDArray[np.uint64]

    @classmethod
    def of(cls, lake: Path) -> AsOf:
        """The lake's events, users and items."""
        changes = sorted((lake / "catalog").glob("date=*/*.parquet"))
        changed = (
            pl.read_parquet(changes, columns=["change", "id"], hive_partitioning=False)
            if changes
            else pl.DataFrame(schema={"change": pl.String, "id": pl.UInt64})
        )
        return cls(
            read_events(lake),
            pl.read_parquet(lake / "users.parquet"),
            pl.read_parquet(lake / "items.parquet"),
            *(
                changed.filter(pl.col("change").str.ends_with(kind))["id"].unique().to_numpy()
                for kind in ("_user", "_item")
            ),
        )

    def users_before(self, moments: Sequence[tuple[int, int]]) -> list[UserState]:
        """The state of each (user id, time in microseconds) from strictly earlier events."""
        mine = self.events.filter(pl.col("user_id").is_in([user for user, _ in moments]))
        by_user = {
            user: frame.select("type", "item_id", us=pl.col("ts").dt.epoch("us"), value="value").rows()
            for (user,), frame in mine.partition_by("user_id", as_dict=True).items()
        }
        return [self._user(user, us, [row for row in by_user.get(user, ()) if row[2] < us]) for user, us in moments]

    def items_before(self, moment_us: NDArray[np.int64], ids: Sequence[NDArray[np.uint64]]) -> list[ItemTable]:
        """For each moment the table of the given items from strictly earlier events; unknown items are not in it."""
        wanted = pl.DataFrame(
            {
                _MOMENT: np.repeat(np.arange(len(ids)), [part.size for part in ids]),
                "item_id": np.concatenate([np.empty(0, np.uint64), *ids]),
                "us": np.repeat(moment_us, [part.size for part in ids]),
            }
        ).unique(maintain_order=True)
        rows = self._with_activity(wanted)
        parts = {moment: frame for (moment,), frame in rows.partition_by(_MOMENT, as_dict=True).items()}
        nothing = rows.clear()
        return [_table(parts.get(moment, nothing)) for moment in range(len(ids))]

    def _with_activity(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """Profile and activity of each wanted (moment, item), activity null before its first event."""
        states = activity(self.events.filter(pl.col("item_id").is_in(wanted["item_id"].unique().implode())), "item_id")
        known = states.select(
            pl.col("item_id").cast(pl.UInt64),
            pl.col("event_timestamp").dt.epoch("us").alias("us"),
            *(name for name in ITEM_COLUMNS if name in states.columns),
        ).sort("us", maintain_order=True)
        return (
            wanted.sort("us", maintain_order=True)
            .join_asof(
                known, on="us", by="item_id", strategy="backward", allow_exact_matches=False, check_sortedness=False
            )
            .join(self._profiles, on="item_id", maintain_order="left")
        )

    def _user(self, user: int, at_us: int, rows: Sequence[tuple[str, int, int, float | None]]) -> UserState:
        history = History()
        seen: dict[int, None] = {}
        for kind, item, us, value in rows:
            history = history.after(Event(kind, user, item, us, value))
            if kind != "hide":
                seen.pop(item, None)
                seen[item] = None
        return UserState(
            user_id=user,
            profile=self._attributes.get(user, {}),
            history=np.array(history.items, np.uint64),
            history_times=np.array(history.times_ms, np.int64),
            history_values=np.array(history.values, np.float32),
            seen=np.array(list(seen)[-SEEN_LENGTH:], np.uint64),
            at_ms=at_us // 1000,
        )

    @cached_property
    def _profiles(self) -> pl.DataFrame:
        return item_profiles(self.items).with_columns(pl.col("item_id").cast(pl.UInt64))

    @cached_property
    def _attributes(self) -> Mapping[int, dict[str, str]]:
        named = self.users.select("user_id", *(pl.col(name).cast(pl.String) for name in PROFILE_ATTRIBUTES))
        return {
            user: {name: value for name, value in zip(PROFILE_ATTRIBUTES, values, strict=True) if value is not None}
            for user, *values in named.iter_rows()
        }


def _table(rows: pl.DataFrame) -> ItemTable:
    numbers = [rows[name].cast(pl.Float32).fill_null(float("nan")).to_numpy() for name in ITEM_COLUMNS]
    return ItemTable(
        ItemRows(
            ids=rows["item_id"].to_numpy(),
            item_ids=rows["external_id"].to_list(),
            titles=rows["title"].to_list(),
            genres=[tuple(genres) for genres in rows["genres"]],
            creators=[tuple(creators) for creators in rows["creators"]],
            features=np.stack(numbers, axis=1),
        )
    )
