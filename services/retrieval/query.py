"""One request as the sources see it: what the models say of every catalog row, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.covisitation import CoVisitation
from models.ease import Ease
from models.interests import nearest_scores
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
        """(K, D) of length 1: the user's interests."""


@dataclass(frozen=True, slots=True)
class RetrievalModels:
    """The models of one moment."""

    tower: Tower
    co_visitation: CoVisitation
    popularity: Popularity
    ease: Ease

    @property
    def ids(self) -> tuple[NDArray[np.uint64], ...]:
        """The item ids of each, in the order of the catalog's alignments."""
        return self.tower.item_ids, self.co_visitation.item_ids, self.popularity.item_ids, self.ease.item_ids


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
    def barred(self) -> Rows:
        """Rows of the index that are taken one by one; the category is left to the index's own filter."""
        return np.flatnonzero((self.codes > 1) & (self.catalog.alignments[0].places >= 0))

    @cached_property
    def interests(self) -> NDArray[np.float32]:
        """(K, D) what stands for the user in the space of the items."""
        return self.models.tower.encode(self.user)

    @cached_property
    def _co_visited(self) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
        scores, because = self.models.co_visitation.explained(self.user.history)
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
    def ease(self) -> NDArray[np.float32]:
        """(U,) decay-weighted over the history."""
        return self.catalog.alignments[3].spread(self.models.ease.scores(self.user.history))

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
        """(R,) of each of some rows with the nearest of the user's interests, NaN where the tower has no vector."""
        return vector_scores(self.models.tower, self.catalog.alignments[0], self.interests, rows)

    def columns(self, rows: Rows) -> NDArray[np.float32]:
        """(K, len(RETRIEVAL_COLUMNS)) what every source says of some rows, whoever proposed them."""
        last, last3 = self._transitions()
        near_last, near_last3 = self._nearness(rows)
        by_name = {
            "two_tower": self.tower_scores(rows),
            "co_visitation": self.co_visitation[rows],
            "co_visitation_last": last[rows],
            "co_visitation_last3": last3[rows],
            "ease": self.ease[rows],
            "near_last": near_last,
            "near_last3": near_last3,
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

    def _nearness(self, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(K,) cosines of items with the newest of the history, and (K,) their mean with the newest three; 0 for
        items of the history that the tower does not know."""
        tower, alignment = self.models.tower, self.catalog.alignments[0]
        newest = self.catalog.rows_of(self.user.history[:-4:-1])
        places = np.where(newest >= 0, alignment.places[newest], -1)
        vectors = np.where(places[:, None] >= 0, tower.item_vectors[places], np.float32(0))
        if not newest.size:
            vectors = np.zeros((1, tower.item_vectors.shape[1]), np.float32)
        last, mean = (vector_scores(tower, alignment, near[None], rows) for near in (vectors[0], vectors.mean(axis=0)))
        return last, mean


def vector_scores(tower: Tower, alignment: Alignment, vectors: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
    """(R,) the item vectors of some catalog rows against the nearest of (K, D) others, NaN where the tower has none."""
    places = alignment.places[rows]
    scores = np.full(rows.size, np.nan, np.float32)
    known = places >= 0
    scores[known] = nearest_scores(tower.item_vectors[places[known]], vectors)
    return scores


def looking_at(user: UserState, item: int) -> UserState:
    """The user a moment later, with `item` as the newest event."""
    newest = int(user.history_times[-1]) if user.history_times.size else 0
    now = np.int64(user.at_ms or newest)
    return replace(
        user,
        history=np.append(user.history, np.uint64(item))[-HISTORY_LENGTH:],
        history_times=np.append(user.history_times, now)[-HISTORY_LENGTH:],
        history_values=np.append(user.history_values, np.float32(np.nan))[-HISTORY_LENGTH:],
    )
