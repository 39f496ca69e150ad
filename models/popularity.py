"""Decayed popularity, overall and by segment of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FILE = "popularity.npz"
OVERALL = ""
"""The segment of everybody."""
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class PopularityConfig:
    """Hyper-parameters."""

    half_life_days: float = 365.0
    """An event counts half as much when it is this much older."""
    segment_prior: float = 2000.0
    """Events of the whole population that a segment's own events are mixed with."""
    uniform_prior: float = 1.0
    """Events spread evenly over the catalog, so that an item without events scores above 0."""


class Popularity:
    """The share of recent events that each of I items has, among everybody and within each segment."""

    item_ids: NDArray[np.uint64]
    """(I,) sorted."""

    def __init__(self, item_ids: NDArray[np.uint64], segments: Sequence[str], shares: NDArray[np.float32]) -> None:
        self.item_ids = item_ids
        self._rows = {segment: row for row, segment in enumerate(segments)}
        self._shares = shares

    @classmethod
    def fit(
        cls,
        catalog: NDArray[np.uint64],
        items: NDArray[np.uint64],
        times_ms: NDArray[np.int64],
        segments: Sequence[str],
        config: PopularityConfig | None = None,
    ) -> Popularity:
        """Counts N events, given as parallel columns, of the items of `catalog`; age is measured from the newest.

        segment: what `segment_name` says of the event's user. Events of items outside the catalog are not counted.
        """
        config = config or PopularityConfig()
        item_ids = np.unique(catalog)
        if not item_ids.size:
            raise ValueError("Popularity needs a catalog with at least one item.")
        names, segment = np.unique(np.append(np.array(segments, np.str_), OVERALL), return_inverse=True)
        rows = np.minimum(np.searchsorted(item_ids, items), item_ids.size - 1)
        age_days = (times_ms.max(initial=0) - times_ms) / _DAY_MS
        weight = np.where(item_ids[rows] == items, np.exp2(-age_days / config.half_life_days), 0.0)
        cells = segment[:-1] * item_ids.size + rows
        counts = np.bincount(cells, weight, names.size * item_ids.size).astype(np.float64).reshape(names.size, -1)
        uniform = np.full(item_ids.size, 1.0 / item_ids.size)
        overall = _mixed(counts.sum(axis=0), uniform, config.uniform_prior)
        shares = np.stack([_mixed(row, overall, config.segment_prior) for row in counts])
        shares[int(np.flatnonzero(names == OVERALL)[0])] = overall
        return cls(item_ids, names.tolist(), shares.astype(np.float32))

    def segment_of(self, profile: Mapping[str, str]) -> str:
        """The segment of a person; "", everybody, when the profile is incomplete or nobody like that was seen."""
        name = segment_name(profile)
        return name if name in self._rows else OVERALL

    def scores(self, segment: str = OVERALL) -> NDArray[np.float32]:
        """(I,) shares that sum to 1; a segment that is not known gets those of everybody. Read-only."""
        shares: NDArray[np.float32] = self._shares[self._rows.get(segment, self._rows[OVERALL])]
        return shares

    def save(self, folder: Path) -> None:
        """Writes the model's file into an existing folder."""
        segments = np.array(list(self._rows), np.str_)
        np.savez(folder / _FILE, item_ids=self.item_ids, segments=segments, shares=self._shares)

    @classmethod
    def load(cls, folder: Path) -> Popularity:
        """The model that `save` wrote."""
        with np.load(folder / _FILE, allow_pickle=False) as file:
            return cls(file["item_ids"], file["segments"].tolist(), file["shares"])


def segment_name(profile: Mapping[str, str]) -> str:
    """Gender and age group, for example "F, 25-34"; "" when either is missing."""
    gender, age = profile.get("gender"), profile.get("age")
    return f"{gender}, {age}" if gender and age else OVERALL


def _mixed(counts: NDArray[np.float64], prior: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """The posterior mean of a multinomial under a Dirichlet prior worth `weight` events."""
    shares: NDArray[np.float64] = (counts + weight * prior) / (counts.sum() + weight)
    return shares
