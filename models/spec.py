"""What a ranker looks at: one spec turns a user, the catalog and raw retrieval scores into rows of features.

    spec = FeatureSpec.of(items, profiles)                       # vocabularies
    rows = spec.assemble(user, items, ids, scores, at_ms)        # (N, F), in training and in serving alike
    spec = spec.with_normalizer(training_rows)                   # statistics for models that need them

The spec travels inside the artifact, so a ranker and the rows it was fitted on cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.feature_blocks import (
    CONTEXT_COLUMNS,
    GENRE_SLOTS,
    HISTORY_COLUMNS,
    ITEM_FEATURE_COLUMNS,
    LAST_ITEMS,
    POSITION_COLUMN,
    RETRIEVAL_COLUMNS,
    context_block,
    genre_slots,
    history_block,
    item_block,
    last_items,
    retrieval_block,
)
from models.items import ItemTable
from models.normalizer import Normalizer
from models.user import UserState

__all__ = ["POSITION_COLUMN", "PROFILE_FIELDS", "RETRIEVAL_COLUMNS", "FeatureSpec"]

PROFILE_FIELDS = ("gender", "age", "occupation")
"""Profile attributes that rankers embed."""


@dataclass(frozen=True, eq=False)
class FeatureSpec:
    """The columns of a ranker's rows, their vocabularies and their statistics.

    Numeric columns carry NaN for the unknown. Categorical columns carry an index into a vocabulary as a float, with 0
    for the unknown; they stand at the end.
    """

    item_vocabulary: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """(I,) sorted item ids; index i + 1 stands for item i."""
    genre_vocabulary: tuple[str, ...] = ()
    """Genre names; index i + 1 stands for genre i."""
    profile_vocabularies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by profile attribute; index i + 1 stands for value i."""
    normalizer: Normalizer | None = None
    """Statistics of the numeric columns, for models that need them; None before a fit."""

    @cached_property
    def numeric_columns(self) -> tuple[str, ...]:
        """Names of the numeric columns, in order."""
        ranks = tuple(f"{name}_rank" for name in RETRIEVAL_COLUMNS)
        return (*RETRIEVAL_COLUMNS, *ranks, *ITEM_FEATURE_COLUMNS, *CONTEXT_COLUMNS, *HISTORY_COLUMNS, POSITION_COLUMN)

    @cached_property
    def cardinalities(self) -> dict[str, int]:
        """Number of indices, the unknown included, of each categorical column, in order."""
        items, genres = self.item_vocabulary.size + 1, len(self.genre_vocabulary) + 1
        return {
            "item": items,
            **{f"last_item_{place + 1}": items for place in range(LAST_ITEMS)},
            **{f"genre_{place + 1}": genres for place in range(GENRE_SLOTS)},
            **{name: len(values) + 1 for name, values in self.profile_vocabularies.items()},
        }

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all F columns, in order."""
        return (*self.numeric_columns, *self.cardinalities)

    @classmethod
    def of(cls, items: ItemTable, profiles: Iterable[Mapping[str, str]]) -> Self:
        """A spec whose vocabularies cover the given catalog and profiles; statistics come later."""
        seen: dict[str, set[str]] = {name: set() for name in PROFILE_FIELDS}
        for profile in profiles:
            for name in PROFILE_FIELDS:
                if name in profile:
                    seen[name].add(profile[name])
        return cls(
            item_vocabulary=items.ids.copy(),
            genre_vocabulary=items.genre_names,
            profile_vocabularies={name: tuple(sorted(values)) for name, values in seen.items()},
        )

    def assemble(
        self,
        user: UserState,
        items: ItemTable,
        ids: NDArray[np.uint64],
        retrieval_scores: NDArray[np.float32] | None,
        at_ms: int,
    ) -> NDArray[np.float32]:
        """(N, F) rows for N candidates of one user at one moment.

        `retrieval_scores` is (N, len(RETRIEVAL_COLUMNS)) or None when there are none. Unknown items keep their place:
        their item columns are NaN, the rest is filled. Ranks are taken within the N candidates, so the whole list must
        come in one call. Nothing has a place yet: the column of the position says "at the top" of all of them.
        """
        candidates = items.rows_of(ids)
        history = items.rows_of(user.history)
        rows = np.empty((ids.size, len(self.columns)), np.float32)
        numeric = rows[:, : len(self.numeric_columns)]
        at = 2 * len(RETRIEVAL_COLUMNS)
        retrieval_block(numeric[:, :at], retrieval_scores)
        item_block(numeric[:, at : (at := at + len(ITEM_FEATURE_COLUMNS))], items, candidates, at_ms)
        numeric[:, at : (at := at + len(CONTEXT_COLUMNS))] = context_block(user, at_ms)
        history_block(numeric[:, at:-1], user, items, candidates, history)
        numeric[:, -1] = 0.0
        rows[:, len(self.numeric_columns) :] = self._categorical(user, items, ids, candidates)
        return rows

    def _categorical(
        self, user: UserState, items: ItemTable, ids: NDArray[np.uint64], candidates: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        block = np.zeros((ids.size, len(self.cardinalities)), np.float32)
        block[:, 0] = self.item_indices(ids)
        block[:, 1 : 1 + LAST_ITEMS] = self.item_indices(last_items(user))
        block[:, 1 + LAST_ITEMS : 1 + LAST_ITEMS + GENRE_SLOTS] = genre_slots(items, candidates, self.genre_vocabulary)
        for place, (name, values) in enumerate(self.profile_vocabularies.items(), 1 + LAST_ITEMS + GENRE_SLOTS):
            value = user.profile.get(name)
            block[:, place] = values.index(value) + 1 if value in values else 0
        return block

    def item_indices(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """(K,) index of each item in the vocabulary, 0 for the unknown."""
        if not self.item_vocabulary.size:
            return np.zeros(ids.shape, np.int64)
        places = np.minimum(np.searchsorted(self.item_vocabulary, ids), self.item_vocabulary.size - 1)
        return np.where(self.item_vocabulary[places] == ids, places + 1, 0)

    def with_normalizer(self, rows: NDArray[np.float32]) -> Self:
        """The spec with statistics of the numeric columns of (M, F) training rows."""
        return replace(self, normalizer=Normalizer.fit(rows[:, : len(self.numeric_columns)]))

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "columns": list(self.columns),
            "item_vocabulary": [str(item) for item in self.item_vocabulary.tolist()],
            "genre_vocabulary": list(self.genre_vocabulary),
            # A list, because the order of the attributes is the order of their columns.
            "profile_vocabularies": [[name, list(values)] for name, values in self.profile_vocabularies.items()],
            "normalizer": None if self.normalizer is None else self.normalizer.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The reverse of to_json. Raises ValueError when the columns are not those this code assembles."""
        vocabularies: Sequence[tuple[str, Sequence[str]]] = data["profile_vocabularies"]
        spec = cls(
            item_vocabulary=np.array([int(item) for item in data["item_vocabulary"]], np.uint64),
            genre_vocabulary=tuple(data["genre_vocabulary"]),
            profile_vocabularies={name: tuple(values) for name, values in vocabularies},
            normalizer=None if data["normalizer"] is None else Normalizer.from_json(data["normalizer"]),
        )
        if list(spec.columns) != list(data["columns"]):
            raise ValueError("The ranker was fitted on other feature columns than this version computes. Train again.")
        return spec
