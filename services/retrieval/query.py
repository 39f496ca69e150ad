"""One request as the sources see it: what the models say of every catalog row, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.covisitation import CoVisitation
from models.popularity import Popularity
from models.spec import RETRIEVAL_COLUMNS
from models.user import HISTORY_LENGTH, UserState
from services.retrieval.catalog import Alignment, Catalog, Rows


class Tower(Protocol):
    """What retrieval needs of the two towers; models.user_tower.UserTower is one."""

    @property
    def item_ids(self) -> NDArray[np.uint64]:
        """(I,)"""

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """(I, D) of length 1."""

    def encode(self, user: UserState) -> NDArray[np.float32]:
        """(D,) of length 1."""


@dataclass(frozen=True, slots=True)
class RetrievalModels:
    """The three models of one moment."""

    tower: Tower
    co_visitation: CoVisitation
    popularity: Popularity

    @property
    def ids(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
        """The item ids of each, in the order of the catalog's alignments."""
        return self.tower.item_ids, self.co_visitation.item_ids, self.popularity.item_ids


@dataclass(frozen=True)
class Query:
    """A user against the catalog; U is the number of catalog rows. Values are NaN where a model knows nothing."""

    user: UserState
    models: RetrievalModels
    catalog: Catalog
    codes: NDArray[np.uint8]
    """(U,) why a row must not be proposed, 0 where it may; see filters.REASONS."""
    genres: Sequence[str] | None
    """Genres wanted, in the catalog's spelling; None for all."""

    @property
    def free(self) -> NDArray[np.bool_]:
        """(U,) rows that may be proposed."""
        return np.equal(self.codes, 0)

    @cached_property
    def user_vector(self) -> NDArray[np.float32]:
        """(D,)"""
        return self.models.tower.encode(self.user)

    @cached_property
    def _co_visited(self) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
        scores, because = self.models.co_visitation.scores(self.user.history)
        alignment = self.catalog.alignments[1]
        return alignment.spread(scores), alignment.spread_ids(because)

    @property
    def co_visitation(self) -> NDArray[np.float32]:
        """(U,) decay-weighted over the history."""
        return self._co_visited[0]

    @property
    def because(self) -> NDArray[np.uint64]:
        """(U,) history item that contributed most, 0 for none."""
        return self._co_visited[1]

    @cached_property
    def popularity(self) -> NDArray[np.float32]:
        """(U,) overall."""
        return self.catalog.alignments[2].spread(self.models.popularity.scores())

    @cached_property
    def segment_popularity(self) -> NDArray[np.float32]:
        """(U,) among people like the user."""
        model = self.models.popularity
        return self.catalog.alignments[2].spread(model.scores(model.segment_of(self.user.profile)))

    def tower_scores(self, rows: Rows) -> NDArray[np.float32]:
        """(K,) user vector against the item vectors of some rows."""
        return vector_scores(self.models.tower, self.catalog.alignments[0], self.user_vector, rows)

    def columns(self, rows: Rows) -> NDArray[np.float32]:
        """(K, len(RETRIEVAL_COLUMNS)) what every source says of some rows, whoever proposed them."""
        last, last3 = self._transitions()
        by_name = {
            "two_tower": self.tower_scores(rows),
            "co_visitation": self.co_visitation[rows],
            "co_visitation_last": last[rows],
            "co_visitation_last3": last3[rows],
            "popularity": self.popularity[rows],
            "segment_popularity": self.segment_popularity[rows],
        }
        return np.stack([by_name[name] for name in RETRIEVAL_COLUMNS], axis=1)

    def _transitions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(U,) from the newest item, and (U,) summed over the newest three."""
        model = self.models.co_visitation
        newest = [model.transitions(item) for item in self.user.history[:-4:-1].tolist()]
        if not newest:
            newest = [np.zeros(model.item_ids.size, np.float32)]
        alignment = self.catalog.alignments[1]
        return alignment.spread(newest[0]), alignment.spread(np.sum(newest, axis=0, dtype=np.float32))


def vector_scores(tower: Tower, alignment: Alignment, vector: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
    """(K,) a (D,) vector against the item vectors of some catalog rows, NaN where the tower has none."""
    places = alignment.places[rows]
    scores = np.full(rows.size, np.nan, np.float32)
    known = places >= 0
    scores[known] = tower.item_vectors[places[known]] @ vector
    return scores


def looking_at(user: UserState, item: int) -> UserState:
    """The user a moment later, with `item` as the newest event."""
    now = user.history_times[-1:] if user.history_times.size else np.zeros(1, np.int64)
    return replace(
        user,
        history=np.append(user.history, np.uint64(item))[-HISTORY_LENGTH:],
        history_times=np.append(user.history_times, now)[-HISTORY_LENGTH:],
        history_values=np.append(user.history_values, np.float32(np.nan))[-HISTORY_LENGTH:],
    )
