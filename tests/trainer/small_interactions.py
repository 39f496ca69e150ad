"""Users who walk around a ring of films: what comes next follows from the last item and the direction of the user."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from services.trainer.data.interactions import Interactions

ITEMS = 60
START = datetime(2024, 1, 1, tzinfo=UTC)
"""Time of every user's first event."""


def ring(users: int = 240, length: int = 14, seed: int = 0, first_item: int = 1) -> Interactions:
    """Women go up the ring by one, men down; items are first_item ... first_item + ITEMS - 1, users 1, 2, ...."""
    return Interactions.of(*ring_tables(users, length, seed, first_item))


def ring_tables(
    users: int = 240, length: int = 14, seed: int = 0, first_item: int = 1
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The same as users, items and events of a lake."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(1, users + 1):
        step = 1 if user % 2 else -1
        start = int(random.integers(ITEMS))
        rows += [(user, first_item + (start + step * place) % ITEMS, place) for place in range(length)]
    return _users(users), _items(first_item), _events(rows)


def small(sequences: dict[int, list[int]], catalog: list[int]) -> Interactions:
    """Users who turn to the items named, a second apart."""
    start = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
    rows = [(user, item, start + place) for user, items in sequences.items() for place, item in enumerate(items)]
    events = pl.DataFrame(rows, schema={"user_id": pl.UInt64, "item_id": pl.UInt64, "ts": pl.Int64}, orient="row")
    return Interactions.of(
        pl.DataFrame({"user_id": list(sequences)}, schema={"user_id": pl.UInt64}),
        pl.DataFrame({"item_id": catalog}, schema={"item_id": pl.UInt64}),
        events.with_columns(
            type=pl.lit("watch"),
            ts=pl.from_epoch("ts", "s").dt.replace_time_zone("UTC"),
            value=pl.lit(4.0, dtype=pl.Float32),
        ),
    )


def _users(count: int) -> pl.DataFrame:
    ids = range(1, count + 1)
    return pl.DataFrame(
        {
            "user_id": ids,
            "external_id": [str(user) for user in ids],
            "gender": ["F" if user % 2 else "M" for user in ids],
            "age": ["25-34"] * count,
            "occupation": [None] * count,
            "region": [None] * count,
        },
        schema_overrides={"user_id": pl.UInt64, "occupation": pl.String, "region": pl.String},
    )


def _items(first: int) -> pl.DataFrame:
    ids = range(first, first + ITEMS)
    return pl.DataFrame(
        {
            "item_id": ids,
            "external_id": [str(item) for item in ids],
            "title": [f"Part {(item - first) // 10}" for item in ids],
            "year": [1990 + (item - first) // 6 for item in ids],
            "genres": [["Drama"] if (item - first) < ITEMS // 2 else ["Comedy"] for item in ids],
            "creators": [[] for _ in ids],
            "created_at": [START for _ in ids],
        },
        schema_overrides={"item_id": pl.UInt64, "year": pl.Int32, "creators": pl.List(pl.String)},
    )


def _events(rows: list[tuple[int, int, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "event_id": [f"e-{place}" for place in range(len(rows))],
            "type": ["watch"] * len(rows),
            "user_id": [user for user, _, _ in rows],
            "item_id": [item for _, item, _ in rows],
            "ts": [START + timedelta(minutes=minute) for _, _, minute in rows],
            "value": [4.0] * len(rows),
        },
        schema_overrides={"user_id": pl.UInt64, "item_id": pl.UInt64, "value": pl.Float32},
    ).sort("ts", maintain_order=True)
