"""What the refitted retrieval models may see of the lake, and the moments that they are judged on instead.

Two kinds of events are held out. The last one of each user before the full run was the test of that run and stays
unseen by all that descends from it. Of what happened since the champion was fitted, the newest event of every fifth
user; the next run learns it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from services.ingest.activity import HISTORY_TYPES
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import read_events
from services.trainer.moment import Moment

FRESH_USERS = 5
"""Of so many users the newest event of one is held out."""


@dataclass(frozen=True, slots=True)
class Retraining:
    """A lake, divided."""

    known: Interactions
    """What the fit may see."""
    moments: list[Moment]
    """What the gate asks, at most `count` of each kind."""

    @classmethod
    def of(
        cls, lake: Path, full_at: datetime, known_until: datetime, now: datetime, seed: int, count: int = 400
    ) -> Retraining:
        """`full_at` and `known_until` are those of the champion; events from `now` on are left to the next run."""
        users, items = pl.read_parquet(lake / "users.parquet"), pl.read_parquet(lake / "items.parquet")
        events = read_events(lake).filter(pl.col("ts") < now)
        history = _newest_of_each(events, items)
        standing = _last_of_each(_newest_of_each(events.filter(pl.col("ts") < full_at), items))
        fresh = _last_of_each(history).filter(
            pl.col("ts") >= known_until, pl.col("user_id").hash(seed) % FRESH_USERS == 0
        )
        held_out = pl.concat([standing, fresh]).select("event_id")
        known = events.join(held_out, on="event_id", how="anti", maintain_order="left")
        before = Interactions.of(users, items, events.filter(pl.col("ts") < full_at))
        random = np.random.default_rng(seed)
        return cls(
            Interactions.of(users, items, known),
            [
                *_moments(before, standing, random, count),
                *_moments(Interactions.of(users, items, events), fresh, random, count),
            ],
        )


def _newest_of_each(events: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The events that Interactions keeps: of a user's events with one item the newest."""
    return (
        events.filter(pl.col("type").is_in(list(HISTORY_TYPES)))
        .join(items.select("item_id"), on="item_id", how="semi", maintain_order="left")
        .unique(["user_id", "item_id"], keep="last", maintain_order=True)
        .select("event_id", "user_id", "ts")
    )


def _last_of_each(events: pl.DataFrame) -> pl.DataFrame:
    """The last event of each user who has another one before it, in the order of the users."""
    return (
        events.filter(pl.len().over("user_id") > 1)
        .sort("user_id", "ts", maintain_order=True)
        .unique("user_id", keep="last", maintain_order=True)
    )


def _moments(
    interactions: Interactions, targets: pl.DataFrame, random: np.random.Generator, count: int
) -> list[Moment]:
    """The users right before their last event, of at most `count` of those among the targets."""
    wanted = set(targets["user_id"].to_list())
    ids = interactions.users["user_id"].to_list()
    asked = [target for target in interactions.targets(1) if ids[target[0]] in wanted]
    if len(asked) > count:
        asked = [asked[place] for place in sorted(random.choice(len(asked), count, replace=False).tolist())]
    return [Moment(interactions.state_before(user, 1), item) for user, item, _ in asked]
