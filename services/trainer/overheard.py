"""What every source said at many moments, as one table: how good any shares would be, without merging list by list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from services.retrieval.config import RetrievalConfig

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Overheard:
    """E proposals by S sources of G different candidates at T moments."""

    names: tuple[str, ...]
    """(S,) of the sources."""
    n: int
    """Length of a merged list, and the most that a source was asked for."""
    sources: Numbers
    """(E,)"""
    ranks: Numbers
    """(E,) from 1, within the list of its source at its moment."""
    candidates: Numbers
    """(E,) 0..G-1"""
    moments: Numbers
    """(G,) 0..T-1, ascending."""
    rows: Numbers
    """(G,) in the catalog, ascending within a moment."""
    targets: Numbers
    """(T,) the candidate that came next, -1 where nobody proposed it."""

    @classmethod
    def of(cls, names: Sequence[str], n: int, said: Sequence[Sequence[Numbers]], targets: Sequence[int]) -> Self:
        """From (T, S) lists of distinct catalog rows, best first, and the (T,) rows that came next."""
        lists = [(moment, source, rows) for moment, of_one in enumerate(said) for source, rows in enumerate(of_one)]
        sizes = [rows.size for _, _, rows in lists]
        rows = np.concatenate([rows for _, _, rows in lists])
        width = max(int(rows.max(initial=0)), *targets) + 1
        keys = np.repeat([moment for moment, _, _ in lists], sizes) * width + rows
        found, candidates = np.unique(keys, return_inverse=True)
        wanted = np.arange(len(targets)) * width + np.array(targets)
        places = np.minimum(np.searchsorted(found, wanted), max(found.size - 1, 0))
        known = found[places] == wanted if found.size else np.zeros(len(targets), np.bool_)
        return cls(
            tuple(names),
            n,
            np.repeat([source for _, source, _ in lists], sizes),
            np.concatenate([np.arange(1, size + 1) for size in sizes]),
            candidates,
            found // width,
            found % width,
            np.where(known, places, -1),
        )

    def target_ranks(self, config: RetrievalConfig) -> NDArray[np.float64]:
        """(T,) place of what came next in the list that `merge` makes under these shares, infinite where it is not."""
        if not self.moments.size:
            return np.full(self.targets.size, np.inf)
        shares = [config.shares[name] for name in self.names]
        depth = np.array([np.ceil(share.depth * self.n) for share in shares])[self.sources]
        quota = np.array([int(share.quota * self.n) for share in shares])[self.sources]
        weight = np.array([share.weight for share in shares])[self.sources]
        heard = self.ranks <= depth
        size = self.moments.size
        votes = np.where(heard, weight / (config.rank_offset + self.ranks), 0.0)
        fused = np.bincount(self.candidates, votes, size).astype(np.float64)
        proposed = np.bincount(self.candidates, heard, size) > 0
        sure = np.bincount(self.candidates, heard & (self.ranks <= quota), size) > 0
        return self._ranks(fused, proposed, sure)

    def _ranks(
        self, fused: NDArray[np.float64], proposed: NDArray[np.bool_], sure: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        count = self.targets.size
        target = self.targets[self.moments]
        ahead = (fused > fused[target]) | ((fused == fused[target]) & (self.rows < self.rows[target]))
        sure_ahead = np.bincount(self.moments, ahead & sure, count)
        others_ahead = np.bincount(self.moments, ahead & proposed & ~sure, count)
        # What quotas leave goes to the others, best first.
        room = self.n - np.bincount(self.moments, sure, count)
        there = (self.targets >= 0) & proposed[self.targets] & (sure[self.targets] | (others_ahead < room))
        return np.where(there, 1.0 + sure_ahead + np.minimum(others_ahead, room), np.inf)
