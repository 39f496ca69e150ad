"""Retrieval models small enough to fit in a test: three genres, users who stay within one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.covisitation import CoVisitation
from models.ease import Ease
from models.items import ItemRows
from models.popularity import Popularity, segment_name
from models.user import UserState
from services.retrieval.index.edge import EdgeIndex
from services.retrieval.query import RetrievalModels
from tests.retrieval.features_peer import item_rows

GENRES = ("Action", "Comedy", "Drama")
ITEMS = 90
"""Ids 1..90; item i has genre GENRES[i % 3]."""
DIMENSION = 16
NEW = (91, 92, 93)
"""In the catalog, unknown to every model; one of each genre."""

IDS: NDArray[np.uint64] = np.arange(1, ITEMS + 1, dtype=np.uint64)


def catalog() -> ItemRows:
    """The items the models know, and the new ones."""
    ids = [*range(1, ITEMS + 1), *NEW]
    created = [float(item) if item <= ITEMS else 1000.0 + item for item in ids]
    counts = [100.0 if item <= ITEMS else 0.0 for item in ids]
    return item_rows(ids, [[GENRES[item % 3]] for item in ids], created_days=created, event_count=counts)


def sequences() -> list[NDArray[np.uint64]]:
    """200 users, each with 12 items of one genre, low ids more often."""
    random = np.random.default_rng(0)
    drawn = []
    for user in range(200):
        own = IDS[user % 3 == IDS % 3]
        chances = 1.0 / np.arange(1, own.size + 1)
        drawn.append(random.choice(own, 12, replace=False, p=chances / chances.sum()))
    return drawn


class MeanTower:
    """Places a user at the mean of the history, a stranger in a fixed direction."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        centres = random.normal(size=(3, DIMENSION))
        vectors = centres[np.arange(1, ITEMS + 1) % 3] + 0.5 * random.normal(size=(ITEMS, DIMENSION))
        self.item_ids = IDS
        self.item_vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def encode(self, user: UserState) -> NDArray[np.float32]:
        """(1, DIMENSION)"""
        known = user.history[np.isin(user.history, self.item_ids)].astype(np.int64) - 1
        mean = self.item_vectors[known].sum(axis=0) + 1e-3
        vector: NDArray[np.float32] = (mean / np.linalg.norm(mean)).astype(np.float32)
        return vector[None]


class TastesTower(MeanTower):
    """Places a user at each of the newest three items that it knows, a stranger at those of the first ones."""

    def encode(self, user: UserState) -> NDArray[np.float32]:
        """(3, DIMENSION)"""
        known = user.history[np.isin(user.history, self.item_ids)].astype(np.int64) - 1
        tastes: NDArray[np.float32] = self.item_vectors[np.append(known[::-1], [0, 1, 2])[:3]]
        return tastes


def fitted() -> RetrievalModels:
    """The models."""
    events = sequences()
    flat = np.concatenate(events)
    segments = [segment_name({"gender": "F", "age": "25"}) if item % 3 == 2 else "" for item in flat.tolist()]
    popularity = Popularity.fit(IDS, flat, np.zeros(flat.size, np.int64), segments)
    return RetrievalModels(MeanTower(), CoVisitation.fit(events), popularity, Ease.fit(events))


def built_index(models: RetrievalModels, folder: Path) -> EdgeIndex:
    """The index of the tower's vectors."""
    index = EdgeIndex.create(folder, DIMENSION)
    ids = models.tower.item_ids
    index.upsert(ids, models.tower.item_vectors, [[GENRES[item % 3]] for item in ids.tolist()])
    index.optimize()
    return index
