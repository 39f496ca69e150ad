"""A synthetic catalog of any size in the lake's layout: for load and scale, never for quality.

    import_synthetic(lake, SyntheticConfig(users=100_000, items=50_000, events=5_000_000))

Genres and items have popularities after Zipf. A user has a taste vector, and turns to the genres that lie near it;
how much an item pleases depends on the user's taste, the item's own vector and luck. Everything is drawn by column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from services.runtime.errors import SettingsError
from services.trainer.data.lake import SNAPSHOT, Snapshot, fill, read_snapshot
from services.trainer.data.movielens import AGES_1M, MovieLens

DATASET = "synthetic"
Progress = Callable[[int, int], None]
"""Called with the events drawn so far and those asked for."""

GENRES = (
    "Drama", "Comedy", "Action", "Thriller", "Romance", "Adventure", "Crime", "Sci-Fi", "Horror", "Documentary",
    "Animation", "Fantasy", "Mystery", "War", "Musical", "Western",
)  # fmt: skip
"""Most popular first."""
ADJECTIVES = ("Silent", "Golden", "Broken", "Distant", "Crimson", "Hidden", "Electric", "Last", "Endless", "Little")
NOUNS = ("Harbor", "Garden", "Engine", "Letter", "Mountain", "Mirror", "Signal", "Winter", "Orchard", "Stranger")
_BLOCK = 500_000
"""Events drawn at once: bounds the memory of their tastes."""


@dataclass(frozen=True, slots=True)
class SyntheticConfig:
    """How large, and how uneven."""

    users: int = 10_000
    items: int = 5_000
    events: int = 1_000_000
    creators: int = 500
    """Each item has one."""
    days: int = 180
    """From the oldest event to the newest."""
    zipf: float = 0.9
    """Exponent of the popularity of items and genres: the k-th is drawn in proportion to k ** -zipf."""
    taste_dimensions: int = 8
    """Of the vectors of users, genres and items."""
    focus: float = 1.5
    """How far a user's genres follow the taste; 0 gives everybody the same mix."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("users", "items", "events", "creators", "days", "taste_dimensions"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} of a synthetic catalog must be at least 1.", field=name)


def import_synthetic(
    lake: Path, config: SyntheticConfig, now: datetime | None = None, progress: Progress = lambda done, total: None
) -> Snapshot:
    """Fills the lake; a lake of synthetic data is left as it is. The same configuration gives the same data.

    SettingsError when the lake holds other data.
    """
    if (lake / SNAPSHOT).is_file():
        present = read_snapshot(lake)
        if present.dataset != DATASET:
            raise SettingsError(f"{lake} holds {present.dataset}, not {DATASET} data. Name another data folder.")
        return present
    return fill(lake, DATASET, synthesize(config, progress), now or datetime.now(UTC))


def synthesize(config: SyntheticConfig, progress: Progress = lambda done, total: None) -> MovieLens:
    """The three frames, with items' creators besides; `ratings` in the order of their times."""
    draws = np.random.default_rng(config.seed)
    world = _World.draw(config, draws)
    times = np.sort(draws.integers(config.days * 86_400, size=config.events))
    blocks = []
    for start in range(0, config.events, _BLOCK):
        blocks.append(_ratings(world, times[start : start + _BLOCK], draws))
        progress(min(start + _BLOCK, config.events), config.events)
    return MovieLens(_users(config, draws), _items(config, world, draws), pl.concat(blocks))


@dataclass(frozen=True, slots=True)
class _World:
    """Who likes what. Items lie sorted by their first genre, the popular ones of a genre first."""

    tastes: NDArray[np.float32]
    """(U, D)"""
    activity: NDArray[np.float64]
    """(U,) cumulative share of the events."""
    mixes: NDArray[np.float32]
    """(U, G) cumulative share of the genres in each user's events."""
    genres: NDArray[np.int64]
    """(I,) first genre of each item, ascending."""
    popularity: NDArray[np.float64]
    """(I + 1,) cumulative weight of the items before each."""
    vectors: NDArray[np.float32]
    """(I, D)"""
    ids: NDArray[np.uint64]
    """(I,) in random order, so that an id says nothing of genre or popularity."""

    @classmethod
    def draw(cls, config: SyntheticConfig, draws: np.random.Generator) -> _World:
        tastes = draws.standard_normal((config.users, config.taste_dimensions), np.float32)
        centers = draws.standard_normal((len(GENRES), config.taste_dimensions), np.float32)
        base = _zipf(len(GENRES), config.zipf)
        # Every genre has an item, so that every mix can be served.
        extra = draws.choice(len(GENRES), size=max(config.items - len(GENRES), 0), p=base / base.sum())
        genres = np.sort(np.concatenate([np.arange(min(len(GENRES), config.items)), extra]))
        present = np.unique(genres).size
        affinity = config.focus * (tastes @ centers[:present].T) / np.sqrt(config.taste_dimensions)
        mixes = np.cumsum(base[:present] * np.exp(affinity), axis=1)
        places = np.arange(config.items) - np.searchsorted(genres, genres)
        vectors = centers[genres] + draws.standard_normal((config.items, config.taste_dimensions), np.float32)
        return cls(
            tastes=tastes,
            activity=np.cumsum(draws.lognormal(sigma=1.0, size=config.users)),
            mixes=(mixes / mixes[:, -1:]).astype(np.float32),
            genres=genres,
            popularity=np.concatenate([[0.0], np.cumsum((places + 1.0) ** -config.zipf)]),
            vectors=vectors,
            ids=draws.permutation(config.items).astype(np.uint64) + np.uint64(1),
        )


def _zipf(count: int, exponent: float) -> NDArray[np.float64]:
    return np.asarray(np.arange(1, count + 1) ** -exponent, np.float64)


def _ratings(world: _World, times: NDArray[np.int64], draws: np.random.Generator) -> pl.DataFrame:
    """Who: by activity. Which genre: by the user's mix. Which item of it: by popularity. How good: by taste."""
    users = np.searchsorted(world.activity, draws.random(times.size) * world.activity[-1], side="right")
    genres = (world.mixes[users] < draws.random((times.size, 1), np.float32)).sum(axis=1)
    genres = np.minimum(genres, world.mixes.shape[1] - 1)
    first, last = (np.searchsorted(world.genres, genres, side=side) for side in ("left", "right"))
    low, high = world.popularity[first], world.popularity[last]
    items = np.searchsorted(world.popularity, low + draws.random(times.size) * (high - low), side="right") - 1
    items = np.clip(items, first, last - 1)
    match = np.einsum("nd,nd->n", world.tastes[users], world.vectors[items]) / np.sqrt(world.tastes.shape[1])
    stars = np.clip(np.rint(3.5 + 0.6 * match + 0.6 * draws.standard_normal(times.size)), 1, 5)
    return pl.DataFrame(
        {
            "user_id": users.astype(np.uint64) + np.uint64(1),
            "item_id": world.ids[items],
            "value": stars.astype(np.float32),
            "ts": times,
        }
    )


def _users(config: SyntheticConfig, draws: np.random.Generator) -> pl.DataFrame:
    ages = np.array(list(AGES_1M.values()))
    return pl.DataFrame(
        {
            "user_id": np.arange(1, config.users + 1, dtype=np.uint64),
            "gender": np.array(["F", "M"])[draws.integers(2, size=config.users)],
            "age": ages[draws.integers(ages.size, size=config.users)],
            "occupation": draws.integers(21, size=config.users).astype(str),
            "region": draws.integers(10, size=config.users).astype(str),
        }
    )


def _items(config: SyntheticConfig, world: _World, draws: np.random.Generator) -> pl.DataFrame:
    """By id. A third of the items have a second genre; the year leans to the present."""
    names = np.array(GENRES)
    second = np.where(draws.random(config.items) < 1 / 3, draws.integers(len(GENRES), size=config.items), world.genres)
    frame = pl.DataFrame(
        {
            "item_id": world.ids,
            "title": _titles(world.ids, draws),
            "year": (2025 - draws.exponential(12.0, config.items)).clip(1920).astype(np.int32),
            "first": names[world.genres],
            "second": names[second],
            "creator": draws.integers(1, config.creators + 1, size=config.items),
        }
    )
    return frame.select(
        "item_id",
        "title",
        "year",
        genres=pl.concat_list("first", "second").list.unique(maintain_order=True),
        creators=pl.concat_list(pl.format("Creator {}", "creator")),
    ).sort("item_id")


def _titles(ids: NDArray[np.uint64], draws: np.random.Generator) -> list[str]:
    adjectives, nouns = (draws.integers(len(words), size=ids.size).tolist() for words in (ADJECTIVES, NOUNS))
    return [
        f"The {ADJECTIVES[adjective]} {NOUNS[noun]} {number}"
        for adjective, noun, number in zip(adjectives, nouns, ids.tolist(), strict=True)
    ]
