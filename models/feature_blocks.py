"""The features themselves, block by block: each fills its columns for all N candidates of one request at once.

Only the user's history, seen items and profile are read, never `activity`: these are what a training row can
rebuild for any past moment, so training and serving see the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.items import ITEM_COLUMNS, ItemTable
from models.user import UserState

RETRIEVAL_COLUMNS: tuple[str, ...] = (
    "two_tower",
    "co_visitation",
    "co_visitation_last",
    "co_visitation_last3",
    "ease",
    "near_last",
    "near_last3",
    "popularity",
    "segment_popularity",
)
"""Raw source scores that retrieval gives for every candidate, whoever proposed it.

co_visitation: decay-weighted over the last 20 items; _last: the transition from the newest item; _last3: summed
over the newest three. ease: decay-weighted over the last 50. near_last: cosine with the vector of the newest item;
near_last3: the mean over the newest three.
"""

ITEM_FEATURE_COLUMNS = ("log_event_count", "log_recent_count", "like_rate", "mean_value", "year", "log_age_days")

CONTEXT_COLUMNS = (
    "log_seen_count",
    "user_mean_value",
    "user_like_rate",
    "log_idle_hours",
    "log_session_length",
)
"""The same for every candidate of a request; trees use them to choose between the other features.

log_idle_hours: since the newest event. log_session_length: events of the hour that ended with it.
"""

HISTORY_COLUMNS = (
    "genre_affinity",
    "genre_taste",
    "genre_match_last",
    "genre_match_last3",
    "year_gap_last",
    "year_distance_history",
    "popularity_gap_last",
    "popularity_gap_history",
    "value_gap",
)
"""Candidate against history.

genre_affinity: cosine with the recent-weighted genre profile. genre_taste: mean surplus of the user's values over
their own mean, by the candidate's genres. gap: signed difference, candidate minus history.
"""

POSITION_COLUMN = "log_position"
"""log2 of the place an item was shown at: real where clicks are learned from, 0 (the top) wherever items are scored.

What the place did is then explained by it, and not by the item.
"""

LAST_ITEMS = 3
"""Newest items that rankers embed one by one."""
GENRE_SLOTS = 3
"""Genres of a candidate that rankers embed."""

LIKED = 4.0
"""Least value that counts as a like."""
_DECAY = 0.9
"""Weight of a history item against the next newer one."""
_TASTE_PRIOR = 2.0
"""Weight of "no opinion" in a genre's mean surplus."""

Rows = NDArray[np.float32]


def retrieval_block(out: Rows, scores: Rows | None) -> None:
    """(N, 2R): the scores, then log2(1 + rank) of each within the list; 0 is the best, equals share the best rank."""
    if scores is None or not scores.size:
        out[:] = np.nan
        return
    count = scores.shape[1]
    out[:, :count] = scores
    for column in range(count):
        falling = -scores[:, column]
        out[:, count + column] = np.log2(1.0 + np.searchsorted(np.sort(falling), falling))
    out[:, count:][np.isnan(scores)] = np.nan


def item_block(out: Rows, items: ItemTable, candidates: NDArray[np.int64], at_ms: int) -> None:
    """(N, len(ITEM_FEATURE_COLUMNS)) from the catalog's row of each candidate."""
    features = _gather(items, candidates)
    by_name = dict(zip(ITEM_COLUMNS, features.T, strict=True))
    age_days = np.maximum(at_ms / 86_400_000.0 - by_name["created_days"], 0.0)
    out[:, 0] = np.log1p(by_name["event_count"])
    out[:, 1] = np.log1p(by_name["recent_count"])
    out[:, 2] = by_name["like_rate"]
    out[:, 3] = by_name["mean_value"]
    out[:, 4] = by_name["year"]
    out[:, 5] = np.log1p(age_days)


def context_block(user: UserState, at_ms: int) -> NDArray[np.float32]:
    """(len(CONTEXT_COLUMNS),) of the user alone."""
    known = user.history_values[~np.isnan(user.history_values)]
    row = np.full(len(CONTEXT_COLUMNS), np.nan, np.float32)
    row[0] = np.log1p(max(user.seen.size, user.history.size))
    if known.size:
        row[1] = known.mean()
        row[2] = (known >= LIKED).mean()
    if user.history_times.size:
        newest = user.history_times[-1]
        row[3] = np.log1p(max(at_ms - int(newest), 0) / 3_600_000.0)
        row[4] = np.log1p(np.count_nonzero(user.history_times > newest - 3_600_000))
    return row


def history_block(
    out: Rows, user: UserState, items: ItemTable, candidates: NDArray[np.int64], history: NDArray[np.int64]
) -> None:
    """(N, len(HISTORY_COLUMNS)) against the (L,) table rows of the history, oldest first, -1 where unknown."""
    out[:] = np.nan
    known = history >= 0
    rows, values = history[known], user.history_values[known]
    if not rows.size or not len(items):
        return
    weight = np.power(np.float32(_DECAY), np.arange(rows.size - 1, -1, -1, dtype=np.float32))
    _genre_columns(out[:, :4], items, candidates, rows, values, weight)
    year, count, mean = (items.column(name) for name in ("year", "event_count", "mean_value"))
    popularity = np.log1p(count)
    out[:, 4] = _take(year, candidates) - year[rows[-1]]
    out[:, 5] = np.abs(_take(year, candidates) - _weighted_mean(year[rows], weight))
    out[:, 6] = _take(popularity, candidates) - popularity[rows[-1]]
    out[:, 7] = _take(popularity, candidates) - _weighted_mean(popularity[rows], weight)
    out[:, 8] = _take(mean, candidates) - _weighted_mean(values, np.ones_like(weight))


def _genre_columns(
    out: Rows, items: ItemTable, candidates: NDArray[np.int64], rows: NDArray[np.int64], values: Rows, weight: Rows
) -> None:
    hot = items.genre_hot[rows]
    wanted = items.genre_hot[candidates]
    length = np.sqrt(wanted.sum(axis=1))
    surplus = np.nan_to_num(values - _weighted_mean(values, np.ones_like(weight)))
    taste = ((weight * surplus) @ hot) / (weight @ hot + _TASTE_PRIOR)
    unit = hot / np.maximum(np.sqrt(hot.sum(axis=1, keepdims=True)), 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        out[:, 0] = _cosine(wanted, length, weight @ unit)
        out[:, 1] = (wanted @ taste) / (length * length)
        out[:, 2] = _cosine(wanted, length, hot[-1])
        out[:, 3] = _cosine(wanted, length, hot[-3:].sum(axis=0))
    out[candidates < 0] = np.nan


def genre_slots(items: ItemTable, candidates: NDArray[np.int64], vocabulary: tuple[str, ...]) -> Rows:
    """(N, GENRE_SLOTS) vocabulary indices of each candidate's first genres, 0 where there are no more."""
    place = {name: index + 1 for index, name in enumerate(vocabulary)}
    index = np.array([place.get(name, 0) for name in items.genre_names], np.float32)
    slots = np.zeros((candidates.size, GENRE_SLOTS), np.float32)
    if not index.size:
        return slots
    marked = items.genre_hot[candidates] * index
    marked[candidates < 0] = 0
    width = min(GENRE_SLOTS, index.size)
    # The largest indices first: any fixed order will do, and zeros must come last.
    slots[:, :width] = -np.sort(-marked, axis=1)[:, :width]
    return slots


def last_items(user: UserState) -> NDArray[np.uint64]:
    """(LAST_ITEMS,) newest item ids, the newest first, 0 where the history is shorter."""
    newest = np.zeros(LAST_ITEMS, np.uint64)
    tail = user.history[::-1][:LAST_ITEMS]
    newest[: tail.size] = tail
    return newest


def _gather(items: ItemTable, candidates: NDArray[np.int64]) -> Rows:
    if not len(items):
        return np.full((candidates.size, len(ITEM_COLUMNS)), np.nan, np.float32)
    features = items.features[candidates]
    features[candidates < 0] = np.nan
    return features


def _take(column: Rows, candidates: NDArray[np.int64]) -> Rows:
    values = column[candidates]
    values[candidates < 0] = np.nan
    return values


def _weighted_mean(values: Rows, weight: Rows) -> float:
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=weight[known])) if known.any() else float("nan")


def _cosine(wanted: Rows, length: Rows, profile: Rows) -> Rows:
    return (wanted @ profile) / (length * np.float32(np.linalg.norm(profile)))
