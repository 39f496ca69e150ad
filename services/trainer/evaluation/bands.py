"""Parts of the users: how much they did before, and how popular what they turned to is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics import interval
from services.trainer.data.interactions import Interactions
from services.trainer.evaluation.figures import Bands
from services.trainer.p1 import columns_of
from services.trainer.peers.task import columns

SHARES = (0.01, 0.05, 0.2, 1.0)
"""Ends of the popularity bands, as shares of the catalog, most popular first."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Which band each of T users is in."""

    by: str
    labels: list[str]
    band: NDArray[np.int64]
    """(T,) place in labels."""


def activity_bands(interactions: Interactions, chosen: NDArray[np.int64]) -> Cut:
    """Four bands of the chosen targets' users with about as many in each, by the length of their history."""
    users = np.array([user for user, _, _ in interactions.targets()], np.int64)[chosen]
    lengths = np.diff(interactions.offsets)[users] - 1
    ends = np.unique(np.quantile(lengths, [0.25, 0.5, 0.75, 1.0], method="lower")).astype(np.int64)
    starts = [int(lengths.min()), *(int(end) + 1 for end in ends[:-1])]
    labels = [f"{start}–{end}" if start < end else f"{end}" for start, end in zip(starts, ends.tolist(), strict=True)]
    return Cut("events in the history", labels, np.searchsorted(ends, lengths))


def popularity_bands(interactions: Interactions, chosen: NDArray[np.int64]) -> Cut:
    """Bands by where the target stands among the catalog's items, ordered by events before the targets."""
    history = interactions.leave_last(1)
    counts = np.bincount(columns(history), minlength=history.items.height)
    place = np.empty(counts.size, np.int64)
    place[np.argsort(-counts, kind="stable")] = np.arange(counts.size)
    targets = np.array([item for _, item, _ in interactions.targets()], np.uint64)[chosen]
    aims = columns_of(history.items["item_id"].to_numpy(), targets)
    ends = [max(1, round(share * counts.size)) for share in SHARES]
    starts = (0.0, *SHARES[:-1])
    labels = [f"{start * 100:g}–{end * 100:g}\N{NO-BREAK SPACE}%" for start, end in zip(starts, SHARES, strict=True)]
    return Cut("popularity of the target, place in the catalog", labels, np.searchsorted(ends, place[aims], "right"))


def in_bands(cut: Cut, scores: Mapping[str, NDArray[np.float64]]) -> Bands:
    """The means of (T,) scores by model, with their intervals."""
    members = [cut.band == band for band in range(len(cut.labels))]
    return Bands(
        by=cut.by,
        labels=cut.labels,
        users=[int(member.sum()) for member in members],
        ndcg={
            name: [interval(values[member]) if member.any() else None for member in members]
            for name, values in scores.items()
        },
    )
