"""What retrieval answers: candidates as parallel columns, with the record of how they came to be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.spec import RETRIEVAL_COLUMNS


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one source did for one request."""

    source: str
    proposed: int
    """Candidates it proposed, before the filters."""
    kept: int
    """Of those, in the answer."""
    milliseconds: float
    error: str = ""
    """Why it contributed nothing; empty when it worked."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """N distinct items, best first, with what is known of each."""

    ids: NDArray[np.uint64]
    """(N,)"""
    scores: NDArray[np.float32]
    """(N, len(RETRIEVAL_COLUMNS)), filled whoever proposed the item; NaN where a model does not know it."""
    proposed_by: NDArray[np.uint32]
    """(N,) bit i is set when reports[i].source proposed the item."""
    because: NDArray[np.uint64]
    """(N,) the history item that spoke most for the candidate, 0 for none."""
    reports: tuple[SourceReport, ...] = ()
    removed: Mapping[str, NDArray[np.uint64]] = field(default_factory=dict)
    """Ids that a source would have proposed, by the filter that took them out."""

    def __len__(self) -> int:
        return int(self.ids.size)

    def column(self, name: str) -> NDArray[np.float32]:
        """(N,) one source's score, by its name in RETRIEVAL_COLUMNS."""
        return self.scores[:, RETRIEVAL_COLUMNS.index(name)]
