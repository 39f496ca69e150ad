"""A tiny world with everything in it: four users, twelve items, three genres."""

from __future__ import annotations

import numpy as np
import polars as pl

from loadtests.simulation.world import World
from services.trainer.data.movielens import MovieLens

USERS, ITEMS = 4, 12


def small_world(seed: int = 0) -> World:
    """Items 101 to 112, users 1 to 4; user row 0 has rated item row 0 before."""
    random = np.random.default_rng(seed)
    ones = np.ones((ITEMS, 1))
    judgement = np.concatenate([random.normal(size=(USERS, 2)), np.zeros((USERS, 1)), np.ones((USERS, 1))], axis=1)
    quality = np.concatenate([random.normal(size=(ITEMS, 2)), ones, random.normal(size=(ITEMS, 1))], axis=1)
    return World(
        user_ids=np.arange(1, USERS + 1, dtype=np.uint64),
        item_ids=np.arange(101, 101 + ITEMS, dtype=np.uint64),
        taste=random.normal(size=(USERS, 3)).astype(np.float32),
        traits=random.normal(size=(ITEMS, 3)).astype(np.float32),
        log_popularity=random.random(ITEMS).astype(np.float32),
        selection=np.array([1.0, 0.5, -0.5, 0.9]),
        judgement=judgement.astype(np.float32),
        quality=quality.astype(np.float32),
        satisfaction=np.array([1.0, 0.0]),
        seen_users=np.array([0]),
        seen_items=np.array([0]),
        genres=np.eye(3, dtype=np.bool_)[np.arange(ITEMS) % 3],
        held_out=np.full(USERS, 30),
    )


def small_ratings(users: int = 40, items: int = 60, each: int = 30, seed: int = 0) -> MovieLens:
    """Users with `each` ratings of the items of their own half of the catalog, all of a user's in one second."""
    random = np.random.default_rng(seed)
    rows = [
        (user, 1 + (2 * item + user % 2) % items, float(random.integers(1, 6)), 1_000_000 + user)
        for user in range(1, users + 1)
        for item in random.permutation(items // 2)[:each].tolist()
    ]
    schema = {"user_id": pl.UInt64, "item_id": pl.UInt64, "value": pl.Float32, "ts": pl.Int64}
    numbers = pl.DataFrame({"item_id": range(1, items + 1)}, schema={"item_id": pl.UInt64})
    kinds = pl.Series([["Drama"] if number % 2 else ["Comedy", "War"] for number in range(1, items + 1)])
    return MovieLens(
        users=pl.DataFrame({"user_id": range(1, users + 1)}, schema={"user_id": pl.UInt64}).with_columns(
            gender=pl.lit("F"), age=pl.lit("25-34"), occupation=pl.lit("1"), region=pl.lit("1")
        ),
        items=numbers.with_columns(title=pl.format("Film {}", "item_id"), year=pl.lit(1999, pl.Int32), genres=kinds),
        ratings=pl.DataFrame(rows, schema=schema, orient="row"),
    )
