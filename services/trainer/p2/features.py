"""Features of every rating from strictly earlier ones, a family per file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.feature_blocks import GENRE_SLOTS
from models.hashing import buckets
from models.normalizer import Normalizer
from models.rlfm import RlfmConfig
from services.trainer.p2.activity import Known, activity_columns
from services.trainer.p2.drift import drift_columns
from services.trainer.p2.latent import latent_columns
from services.trainer.p2.log import Floats, Keys, RatingLog
from services.trainer.p2.means import Beyond, Columns, content_means, segment_means, side_means
from services.trainer.p2.neighbours import neighbour_columns
from services.trainer.p2.visits import visit_columns

Progress = Callable[[int, int], None]

ITEM_BUCKETS = 16_384
"""Of the open vocabulary of items: four times the catalog, so that few share one."""


@dataclass(frozen=True)
class RatingColumns:
    """The layout of P2's rows: numeric columns, family by family, then categorical ones."""

    families: Mapping[str, tuple[str, ...]]
    cardinalities: Mapping[str, int]
    normalizer: Normalizer | None = None

    @cached_property
    def numeric_columns(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(name for names in self.families.values() for name in names)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return (*self.numeric_columns, *self.cardinalities)


def rating_features(
    log: RatingLog, known: Known, cuts: Sequence[int], latent: RlfmConfig, seed: int, progress: Progress
) -> tuple[Floats, RatingColumns]:
    """(E, F) features and their columns; models behind features are fitted anew at each of the `cuts`."""
    beyond = Beyond.of(log, known)
    sides = side_means(log, known, beyond)
    factors = latent_columns(log, cuts, latent, seed, progress)
    families: dict[str, Columns] = {
        "activity": activity_columns(known),
        "sides": sides,
        "segments": segment_means(log, beyond),
        "content": content_means(log, beyond),
        "latent": factors,
        "drift": drift_columns(log, factors["latent_expected"].astype(np.float32)),
        "neighbours": neighbour_columns(log, (log.ratings - sides["expected"]).astype(np.float32), cuts),
        "visits": visit_columns(log),
    }
    indices = _categorical(log)
    cardinalities = {name: int(column.max(initial=0)) + 1 for name, column in indices.items()}
    cardinalities["item"] = ITEM_BUCKETS + 1
    names = {family: tuple(columns) for family, columns in families.items()}
    numeric = [column for columns in families.values() for column in columns.values()]
    features = np.stack([*numeric, *indices.values()], axis=1, dtype=np.float32, casting="unsafe")
    return features, RatingColumns(names, cardinalities)


def _categorical(log: RatingLog) -> dict[str, Keys]:
    marked = np.sort(log.genres * np.arange(log.genres.shape[1]) + log.genres, axis=1)[:, ::-1][:, :GENRE_SLOTS]
    slots = {f"genre_{slot + 1}": marked[log.items, slot] for slot in range(marked.shape[1])}
    return {
        "item": buckets(log.item_ids[log.items], ITEM_BUCKETS),
        **slots,
        **{name: of_user[log.users] for name, of_user in log.profiles.items()},
    }
