"""Who may know what: the first ratings of every user are the system's, the others make the world and stay outside."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from services.trainer.data.movielens import MovieLens

FIRST = 20
"""Ratings of each user that the system sees, by (time, file order); MovieLens has no user with fewer."""


@dataclass(frozen=True, slots=True)
class Split:
    """One data set in two parts without a rating in common."""

    seen: MovieLens
    """What the system's lake is filled with."""
    held_out: pl.DataFrame
    """Ratings that only the world is fitted on; columns of MovieLens.ratings."""


def split(data: MovieLens, first: int = FIRST) -> Split:
    """The first ratings of each user, and the rest; both keep the order of the file."""
    order = data.ratings.with_row_index("row").sort("user_id", "ts", "row")
    known = order.with_columns(place=pl.int_range(pl.len()).over("user_id")).sort("row")
    parts = [known.filter(part).drop("row", "place") for part in (pl.col("place") < first, pl.col("place") >= first)]
    return Split(replace(data, ratings=parts[0]), parts[1])
