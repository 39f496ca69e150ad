"""What a peer is given to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from services.trainer.data.interactions import Interactions
from services.trainer.p1 import columns_of


@dataclass(frozen=True, slots=True)
class Task:
    """Histories, the moments at which their users are asked about, and where draws begin."""

    history: Interactions
    """Without the targets."""
    at_ms: NDArray[np.int64]
    """(U,) when each user is asked about, as a server would know it; 0 for those who are not."""
    seed: int = 0

    @classmethod
    def of(cls, interactions: Interactions, seed: int = 0, last: int = 1) -> Self:
        """The task whose targets are the `last`-th events from the end."""
        at_ms = np.zeros(len(interactions), np.int64)
        for user, _, time in interactions.targets(last):
            at_ms[user] = time
        return cls(interactions.leave_last(last), at_ms, seed)


def columns(history: Interactions) -> NDArray[np.int64]:
    """(E,) place in the catalog of each event's item."""
    return columns_of(history.items["item_id"].to_numpy(), history.item_ids)


def matrix(history: Interactions) -> sp.csr_array:
    """(U, I) ones where a user turned to an item of the catalog."""
    places = columns(history)
    shape = (len(history), history.items.height)
    return sp.csr_array((np.ones(places.size, np.float32), places, history.offsets), shape=shape)
