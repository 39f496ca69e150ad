"""Vectors of sentences that were encoded before, in memory and in a file: encoding is nearly all of a build."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.runtime.logs import get_logger

log = get_logger("text_index")

LARGEST = 100_000
"""Vectors kept: 150 MB of 384 dimensions. Of a larger catalog the rest is encoded again when it is needed."""


class Encoder(Protocol):
    """Texts to vectors of length one."""

    dimensions: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, dimensions)"""


class RememberedVectors:
    """An encoder that encodes no text twice. The file is a .npz without pickle; a damaged one is made again."""

    def __init__(self, encoder: Encoder, file: Path | None = None, model: str = "all-MiniLM-L6-v2-int8") -> None:
        self._encoder = encoder
        self._file = file
        self._model = model
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._saved = True
        self.dimensions = encoder.dimensions
        if file is not None and file.is_file():
            self._read(file)

    def __len__(self) -> int:
        return len(self._vectors)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, dimensions)"""
        keys = [self._key(text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors}
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        fresh = dict(zip(new, self._encoder.encode(list(new.values())), strict=True)) if new else {}
        vectors = np.stack([fresh[key] if key in fresh else self._vectors[key] for key in keys])
        for key, vector in fresh.items():
            if len(self._vectors) < LARGEST:
                self._vectors[key] = vector
                self._saved = False
        return vectors

    def keep(self, texts: Sequence[str]) -> None:
        """Forgets every other text and writes the file if anything changed."""
        wanted = {self._key(text) for text in texts}
        gone = self._vectors.keys() - wanted
        for key in gone:
            del self._vectors[key]
        if self._file is not None and (gone or not self._saved):
            self._write(self._file)
        self._saved = True

    def _key(self, text: str) -> str:
        said = f"{self._model}\n{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(said, digest_size=16).hexdigest()

    def _read(self, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as columns:
                keys, vectors = columns["keys"], columns["vectors"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("remembered vectors cannot be read: encoding again", file=str(file), reason=str(error))
            return
        if vectors.shape == (keys.size, self.dimensions) and vectors.dtype == np.float32:
            self._vectors = dict(zip(keys.tolist()[:LARGEST], vectors, strict=False))

    def _write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}.npz")
        vectors = (
            np.stack(list(self._vectors.values())) if self._vectors else np.empty((0, self.dimensions), np.float32)
        )
        np.savez(draft, keys=np.array(list(self._vectors), np.str_), vectors=vectors)
        os.replace(draft, file)
