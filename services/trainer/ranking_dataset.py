"""Ranking queries become a dataset: features of every candidate, then the target and a sample of the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable
from models.rows import LabelledRows
from models.spec import FeatureSpec
from models.user import UserState
from services.trainer.moment import UNKNOWN, Reactions


@dataclass(frozen=True, slots=True)
class RankingQuery:
    """One moment of one user: what retrieval proposed and which of it came next."""

    user: UserState
    """As of strictly before the moment."""
    ids: NDArray[np.uint64]
    """(N,) candidates as the real retriever answered them, from models fitted before the moment's window."""
    retrieval_scores: NDArray[np.float32]
    """(N, len(RETRIEVAL_COLUMNS))"""
    label: int
    """Place of the item that came next among `ids`; -1 when retrieval missed it, the query is then left out."""
    at_ms: int
    """The moment, milliseconds since 1970."""
    reactions: Reactions = UNKNOWN
    """What the user did with the item that came next."""


@dataclass(frozen=True, slots=True)
class RankingDataset:
    """Rows to fit a ranker on, and what their columns mean."""

    spec: FeatureSpec
    """Its normalizer is fitted on these rows."""
    rows: LabelledRows
    """(M, F) features in Q queries."""

    @classmethod
    def of(
        cls,
        queries: Iterable[RankingQuery],
        spec: FeatureSpec,
        items: ItemTable,
        negatives: int = 100,
        seed: int = 0,
    ) -> RankingDataset:
        """Assembles the whole list of each query, so that ranks are those of serving, then keeps the target and
        `negatives` others drawn at random. `items` must be the catalog as of before the queries' window.

        Raises ValueError when no query has its target among the candidates.
        """
        random = np.random.default_rng(seed)
        features, labels, reactions = [], [], []
        for query in queries:
            if query.label < 0:
                continue
            rows = spec.assemble(query.user, items, query.ids, query.retrieval_scores, query.at_ms)
            kept = _sample(query.ids.size, query.label, negatives, random)
            features.append(rows[kept])
            labels.append((kept == query.label).astype(np.float32))
            # Of the others nobody can say what would have come of them.
            reactions.append(np.where(labels[-1][:, None] > 0, np.array(query.reactions, np.float32), np.nan))
        if not labels:
            raise ValueError("No query has its target among the candidates: the ranker has nothing to learn from.")
        stacked = np.concatenate(features)
        sizes = np.array([part.size for part in labels], np.int64)
        weights = np.ones(stacked.shape[0], np.float32)
        known = np.concatenate(reactions).astype(np.float32, copy=False)
        labelled = LabelledRows(stacked, np.concatenate(labels), weights, sizes, known)
        return cls(spec.with_normalizer(stacked), labelled)

    def split(self, held_out: float, seed: int) -> tuple[LabelledRows, LabelledRows]:
        """(training, held out) rows; whole queries go to one side."""
        queries = self.rows.group_sizes.size
        out = np.random.default_rng(seed).permutation(queries) < max(1, round(held_out * queries))
        return self.rows.of_queries(~out), self.rows.of_queries(out)


def _sample(count: int, label: int, negatives: int, random: np.random.Generator) -> NDArray[np.int64]:
    others = np.delete(np.arange(count), label)
    if others.size > negatives:
        others = random.choice(others, negatives, replace=False)
    return np.sort(np.append(others, label))
