"""N blobs as columns: what one view says of N entities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.features.packing import ARRAYS, View


class Presence(IntEnum):
    """Whether a view has something to say for an entity."""

    PRESENT = 0
    ABSENT = 1
    EXPIRED = 2


@dataclass(frozen=True)
class Rows:
    """What one view says of N entities, decoded column by column when asked."""

    view: View
    ids: NDArray[np.uint64]
    presence: NDArray[np.uint8]
    """(N,) of Presence."""
    _heads: NDArray[np.void]
    """The heads of the K entities that have a row, expired or not."""
    _blobs: list[bytes] = field(repr=False)
    """Their blobs, parallel to the heads."""
    _at: NDArray[np.int64]
    """(K,) positions of these among the N."""

    @cached_property
    def _shown(self) -> NDArray[np.bool_]:
        """(K,) which of the stored rows are fresh."""
        shown: NDArray[np.bool_] = self.presence[self._at] == Presence.PRESENT
        return shown

    @cached_property
    def _offsets(self) -> dict[str, tuple[list[int], list[int]]]:
        starts = np.full(len(self._heads), self.view.head.itemsize, np.int64)
        bounds = {}
        for name in self.view.tail:
            ends = starts + self._heads[f".{name}"]
            bounds[name] = (starts.tolist(), ends.tolist())
            starts = ends
        return bounds

    def event_times_us(self) -> NDArray[np.int64]:
        """(N,) event times, 0 where nothing is stored."""
        return self._scattered("event", np.zeros(len(self.ids), np.int64))

    def created_us(self) -> NDArray[np.int64]:
        """(N,) write times, 0 where nothing is stored."""
        return self._scattered("created", np.zeros(len(self.ids), np.int64))

    def _scattered(self, column: str, into: NDArray[np.int64]) -> NDArray[np.int64]:
        into[self._at] = self._heads[column]
        return into

    def _known(self, name: str) -> NDArray[np.bool_]:
        field_at = list(self.view.fields).index(name)
        known: NDArray[np.bool_] = self._shown & (self._heads["present"][:, field_at] == 1)
        return known

    def numbers(self, names: Sequence[str], dtype: type[np.floating[Any]] = np.float32) -> NDArray[Any]:
        """(N, len(names)) scalars as floats; NaN for null, absent and expired."""
        matrix = np.full((len(self.ids), len(names)), np.nan, dtype)
        for column, name in enumerate(names):
            known = self._known(name)
            matrix[self._at[known], column] = self._heads[f".{name}"][known]
        return matrix

    def values(self, name: str) -> list[Any]:
        """N Python values of one field: numbers, str, arrays or tuples of str; None for null, absent and expired."""
        out: list[Any] = [None] * len(self.ids)
        known, at = self._known(name), self._at.tolist()
        if name not in self._offsets:
            stored = self._heads[f".{name}"].tolist()
            for row in np.flatnonzero(known).tolist():
                out[at[row]] = stored[row]
            return out
        decode = _decoder(self.view.fields[name])
        starts, ends = self._offsets[name]
        for row in np.flatnonzero(known).tolist():
            out[at[row]] = decode(self._blobs[row][starts[row] : ends[row]])
        return out


def _decoder(kind: str) -> Callable[[bytes], Any]:
    if kind == "STRING":
        return bytes.decode
    if kind == "STRING_LIST":
        return _decode_strings
    dtype = ARRAYS[kind]
    return lambda part: np.frombuffer(part, dtype)


def _decode_strings(part: bytes) -> tuple[str, ...]:
    count = int.from_bytes(part[:4], "little")
    ends = (np.cumsum(np.frombuffer(part, "<u4", count, 4)) + 4 * (count + 1)).tolist()
    starts = [4 * (count + 1), *ends]
    return tuple(part[start:end].decode() for start, end in zip(starts, ends, strict=False))


def unpack(view: View, ids: NDArray[np.uint64], blobs: Sequence[bytes | None], now_us: int | None = None) -> Rows:
    """The rows behind N replies of MGET.

    A blob of another schema counts as absent: it was written under other definitions. With `now_us` rows older than
    the view's TTL are EXPIRED; without it nothing expires.
    """
    size, schema = view.head.itemsize, view.hash.to_bytes(8, "little")
    at = [row for row, blob in enumerate(blobs) if blob is not None and blob[:8] == schema]
    stored = [blob for row in at if (blob := blobs[row]) is not None]
    flat = b"".join(stored) if not view.tail else b"".join([blob[:size] for blob in stored])
    heads = np.frombuffer(flat, view.head)
    positions = np.array(at, np.int64)
    presence = np.full(len(ids), Presence.ABSENT, np.uint8)
    presence[positions] = Presence.PRESENT
    if now_us is not None and view.ttl_us:
        presence[positions[heads["event"] < now_us - view.ttl_us]] = Presence.EXPIRED
    return Rows(view, ids, presence, heads, stored, positions)
