"""One entity's feature view as one blob.

A blob is a fixed head followed by a tail (all little-endian):

    schema   u64            hash of the view's name and fields
    event    i64            event time, microseconds since 1970
    created  i64            when the row was written, microseconds since 1970
    present  u8 per field   0 where the value is null
    fields   scalars in place; for strings and arrays the u32 length in bytes of their part of the tail
    tail     the strings and arrays, in field order

so that the heads of N blobs, laid end to end, are a NumPy table and a column is a strided view into it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

SCALARS = {"INT32": "<i4", "INT64": "<i8", "FLOAT": "<f4", "DOUBLE": "<f8", "BOOL": "u1", "UNIX_TIMESTAMP": "<i8"}
"""Feast value types kept in the head."""
ARRAYS = {"INT32_LIST": "<i4", "INT64_LIST": "<i8", "FLOAT_LIST": "<f4", "DOUBLE_LIST": "<f8"}
"""Feast value types kept in the tail as plain numbers."""
STRINGS = ("STRING", "STRING_LIST")
"""Feast value types kept in the tail as UTF-8."""

VIEWS_KEY = "cascade:views"
"""Redis hash: view name -> its layout as JSON."""

Column = Sequence[Any] | NDArray[Any]
"""One value per entity; None marks the unknown."""


@dataclass(frozen=True)
class View:
    """A feature view as the online store needs it: plain data, so that readers need not import Feast."""

    name: str
    key: str
    """Join key, user_id or item_id."""
    fields: Mapping[str, str]
    """Feature name -> Feast value type, in order."""
    ttl_us: int = 0
    """Rows older than this are expired; 0 keeps them for ever."""
    indexed: bool = False
    """True when the ids that have this view are also kept in a set."""
    project: str = "cascade"

    @cached_property
    def hash(self) -> int:
        """Changes whenever a blob's layout or meaning does."""
        text = json.dumps([self.name, self.key, list(self.fields.items())])
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")

    @cached_property
    def head(self) -> np.dtype[np.void]:
        """Layout of the head."""
        fields: list[Any] = [("schema", "<u8"), ("event", "<i8"), ("created", "<i8")]
        fields.append(("present", "u1", (len(self.fields),)))
        return np.dtype(fields + [(f".{name}", SCALARS.get(kind, "<u4")) for name, kind in self.fields.items()])

    @cached_property
    def tail(self) -> tuple[str, ...]:
        """Names of the fields that lie in the tail."""
        return tuple(name for name, kind in self.fields.items() if kind not in SCALARS)

    @cached_property
    def prefix(self) -> bytes:
        """What every Redis key of this view begins with."""
        return f"{self.project}:{self.name}:".encode()

    @cached_property
    def index(self) -> bytes:
        """Redis key of the set of ids, meaningful when `indexed`."""
        return f"{self.project}:index:{self.name}".encode()

    def keys(self, ids: NDArray[np.uint64]) -> list[bytes]:
        """Redis key of each id, for example b"cascade:item_profile:260"."""
        prefix = self.prefix
        return [b"%b%d" % (prefix, number) for number in ids.tolist()]

    def to_json(self) -> str:
        return json.dumps(
            {"name": self.name, "key": self.key, "fields": dict(self.fields), "ttl_us": self.ttl_us,
             "indexed": self.indexed, "project": self.project}
        )  # fmt: skip

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        return cls(**json.loads(text))


def pack(
    view: View,
    ids: NDArray[np.uint64],
    columns: Mapping[str, Column],
    event_times_us: NDArray[np.int64],
    created_us: NDArray[np.int64] | None = None,
) -> dict[bytes, bytes]:
    """Redis key -> blob for N entities. A field without a column is null; ValueError for a column of no field.

    Scalars come as arrays or sequences, strings as str, arrays as arrays or sequences, lists of strings as sequences
    of str. `created_us` is the event time when not given. For MSET, in whatever transaction the caller keeps.
    """
    if unknown := set(columns) - set(view.fields):
        raise ValueError(f"The view {view.name} has no field {', '.join(sorted(unknown))}.")
    heads = np.zeros(len(ids), view.head)
    heads["schema"], heads["event"] = view.hash, event_times_us
    heads["created"] = event_times_us if created_us is None else created_us
    tails: list[list[bytes]] = []
    for at, (name, kind) in enumerate(view.fields.items()):
        if name not in columns:
            if kind not in SCALARS:
                tails.append([b""] * len(ids))
            continue
        values = columns[name]
        if len(values) != len(ids):
            raise ValueError(f"{view.name}.{name} has {len(values)} values for {len(ids)} entities.")
        present = _present(values)
        heads["present"][:, at] = present
        if kind in SCALARS:
            heads[f".{name}"] = _dense(values, present, SCALARS[kind])
        else:
            encode = _encoder(kind)
            tails.append([encode(value) if value is not None else b"" for value in values])
            heads[f".{name}"] = [len(part) for part in tails[-1]]
    return dict(zip(view.keys(ids), _blobs(heads, tails), strict=True))


def _present(values: Column) -> NDArray[np.bool_]:
    if isinstance(values, np.ndarray) and values.dtype != object:
        return np.ones(len(values), np.bool_)
    return np.fromiter((value is not None for value in values), np.bool_, len(values))


def _dense(values: Column, present: NDArray[np.bool_], dtype: str) -> NDArray[Any]:
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values
    return np.array([value if here else 0 for value, here in zip(values, present, strict=True)], dtype)


def _encoder(kind: str) -> Callable[[Any], bytes]:
    if kind == "STRING":
        return lambda text: str(text).encode()
    if kind == "STRING_LIST":
        return _encode_strings
    dtype = ARRAYS[kind]
    return lambda values: np.asarray(values).astype(dtype, copy=False).tobytes()


def _encode_strings(texts: Sequence[str]) -> bytes:
    parts = [text.encode() for text in texts]
    return np.array([len(parts), *map(len, parts)], "<u4").tobytes() + b"".join(parts)


def _blobs(heads: NDArray[np.void], tails: list[list[bytes]]) -> list[bytes]:
    size, flat = heads.dtype.itemsize, heads.tobytes()
    fixed = (flat[start : start + size] for start in range(0, len(flat), size))
    if not tails:
        return list(fixed)
    return [head + b"".join(parts) for head, parts in zip(fixed, zip(*tails, strict=True), strict=True)]
