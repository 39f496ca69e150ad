"""The item tower for items that no event has touched yet: their place follows from their content alone.

tower = ContentTower.load(folder)              # the artifact of two_tower
vector = tower.vector("Toy Story 4", 2019, ["Animation", "Comedy"])
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.artifact import read_manifest
from models.item_content import known_tokens, token_names

TOKEN_VECTORS_FILE = "token_vectors.npy"


class ContentTower:
    """The vectors of V content tokens; an item without an id of its own is their sum."""

    def __init__(self, vocabulary: Sequence[str], token_vectors: NDArray[np.float32]) -> None:
        self._places = {name: row for row, name in enumerate(vocabulary)}
        self._vectors = token_vectors

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The content side of an artifact folder."""
        return cls(read_manifest(folder).spec["tokens"], np.load(folder / TOKEN_VECTORS_FILE))

    def vector(
        self, title: str, year: int | None, genres: Sequence[str], creators: Sequence[str] = ()
    ) -> NDArray[np.float32] | None:
        """(D,) L2-normalised, in the space of the other items' vectors; None when no token is known."""
        known = known_tokens(token_names(title, year, genres, creators), self._places)
        summed = self._vectors[known].sum(axis=0)
        length = float(np.linalg.norm(summed))
        return (summed / length).astype(np.float32) if length > 0.0 else None
