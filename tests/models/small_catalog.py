"""A catalog of a few items and a user, for tests of rankers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.items import ITEM_COLUMNS, ItemRows, ItemTable
from models.rows import LabelledRows
from models.spec import RETRIEVAL_COLUMNS, FeatureSpec
from models.user import UserState

DAY_MS = 86_400_000
NOW_MS = 1000 * DAY_MS
GENRES = ("Action", "Comedy", "Drama", "Horror")


def catalog(count: int = 40, seed: int = 0) -> ItemTable:
    """Items 1..count; item i has genre i mod 4, and every third one another genre as well."""
    random = np.random.default_rng(seed)
    genres = [tuple(sorted({GENRES[i % 4]} | ({GENRES[i % 3]} if i % 3 == 0 else set()))) for i in range(1, count + 1)]
    features = random.uniform(1, 5, (count, len(ITEM_COLUMNS))).astype(np.float32)
    features[:, ITEM_COLUMNS.index("year")] = 1950 + np.arange(count)
    features[:, ITEM_COLUMNS.index("created_days")] = 900
    names = [str(i) for i in range(1, count + 1)]
    ids = np.arange(1, count + 1, dtype=np.uint64)
    return ItemTable(ItemRows(ids, names, names, genres, [()] * count, features))


def user(history: tuple[int, ...] = (1, 2, 3), values: tuple[float, ...] = (5, 3, 4)) -> UserState:
    """A user whose newest event was an hour ago, the ones before it one hour apart."""
    length = len(history)
    return UserState(
        user_id=7,
        profile={"gender": "F", "age": "25"},
        history=np.array(history, np.uint64),
        history_times=NOW_MS - 3_600_000 * np.arange(length, 0, -1, dtype=np.int64),
        history_values=np.array(values, np.float32),
        seen=np.array(history, np.uint64),
    )


def spec(items: ItemTable) -> FeatureSpec:
    return FeatureSpec.of(items, [{"gender": "F", "age": "25"}, {"gender": "M", "occupation": "writer"}])


def retrieval_scores(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, len(RETRIEVAL_COLUMNS)), np.float32)


def separable_rows(of: FeatureSpec, items: ItemTable, queries: int = 200, per_query: int = 12) -> LabelledRows:
    """Lists in which the item that came next is the one with the highest co_visitation score."""
    features, labels = [], []
    random = np.random.default_rng(1)
    for query in range(queries):
        ids = random.choice(items.ids, per_query, replace=False)
        scores = retrieval_scores(per_query, seed=query)
        features.append(of.assemble(user(), items, ids, scores, NOW_MS))
        labels.append((np.arange(per_query) == scores[:, RETRIEVAL_COLUMNS.index("co_visitation")].argmax()) * 1.0)
    rows = queries * per_query
    return LabelledRows(
        np.concatenate(features),
        np.concatenate(labels).astype(np.float32),
        np.ones(rows, np.float32),
        np.full(queries, per_query, np.int64),
    )
