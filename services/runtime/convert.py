"""Between the wire and the nouns: protobuf columns become NumPy arrays and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.items import ITEM_COLUMNS, ItemRows
from models.user import UserState
from services.pb import common_pb2, features_pb2
from services.runtime.errors import InvalidArgument
from services.runtime.registry import RegisteredVersion

TOLD_TAGS = ("gate", "rollout")
"""Tags of the registry that travel with a version's lineage."""


def ids_from_proto(ids: Sequence[int]) -> NDArray[np.uint64]:
    """(N,) from a packed fixed64 field."""
    return np.fromiter(ids, np.uint64, len(ids))


def floats_from_bytes(values: bytes) -> NDArray[np.float32]:
    """(N,) from little-endian float32 bytes; a read-only view."""
    if len(values) % 4:
        raise InvalidArgument(f"A float32 column must have a multiple of 4 bytes, not {len(values)}.")
    return np.frombuffer(values, "<f4")


def matrix_to_proto(values: NDArray[np.float32], columns: Iterable[str]) -> common_pb2.Matrix:
    """A (N, C) matrix with its column names."""
    return common_pb2.Matrix(
        rows=values.shape[0], columns=columns, values=np.ascontiguousarray(values, "<f4").tobytes()
    )


def matrix_from_proto(matrix: common_pb2.Matrix) -> NDArray[np.float32]:
    """(N, C), a read-only view; InvalidArgument when the bytes do not fill the shape."""
    shape = (matrix.rows, len(matrix.columns))
    if len(matrix.values) != shape[0] * shape[1] * 4:
        raise InvalidArgument(
            f"A matrix of {shape[0]} x {shape[1]} float32 needs {shape[0] * shape[1] * 4} bytes, "
            f"not {len(matrix.values)}."
        )
    return np.frombuffer(matrix.values, "<f4").reshape(shape)


def user_to_proto(user: UserState) -> common_pb2.UserState:
    """The user as features answers it."""
    return common_pb2.UserState(
        user_id=user.user_id,
        profile=user.profile,
        history=user.history.tolist(),
        history_times=user.history_times.tolist(),
        history_values=user.history_values.tolist(),
        activity=user.activity,
        seen=user.seen.tolist(),
        hidden=user.hidden.tolist(),
        at_ms=user.at_ms,
    )


def user_from_proto(user: common_pb2.UserState) -> UserState:
    """The user as models see it; InvalidArgument when the history's columns differ in length."""
    lengths = {len(user.history), len(user.history_times), len(user.history_values)}
    if len(lengths) > 1:
        raise InvalidArgument("history, history_times and history_values must have one length.", field="history")
    return UserState(
        user_id=user.user_id,
        profile=dict(user.profile),
        history=ids_from_proto(user.history),
        history_times=np.fromiter(user.history_times, np.int64, len(user.history_times)),
        history_values=np.fromiter(user.history_values, np.float32, len(user.history_values)),
        activity=dict(user.activity),
        seen=ids_from_proto(user.seen),
        hidden=ids_from_proto(user.hidden),
        at_ms=user.at_ms,
    )


def version_to_proto(found: RegisteredVersion, loaded: bool) -> common_pb2.ModelVersion:
    """A version of the registry, its lineage with what gate and rollout said; `loaded`: a request can get it now."""
    said = {key: found.tags[key] for key in TOLD_TAGS if key in found.tags}
    return common_pb2.ModelVersion(
        name=found.name,
        version=found.version,
        kind=found.manifest.kind,
        aliases=found.aliases,
        loaded=loaded,
        metrics=found.manifest.metrics,
        lineage={**found.manifest.lineage, **said},
    )


def items_to_proto(rows: ItemRows) -> features_pb2.ItemRows:
    """Items as columns; names joined by `|`."""
    return features_pb2.ItemRows(
        ids=rows.ids.tolist(),
        item_ids=rows.item_ids,
        titles=rows.titles,
        genres=["|".join(names) for names in rows.genres],
        creators=["|".join(names) for names in rows.creators],
        features=matrix_to_proto(rows.features, ITEM_COLUMNS),
    )


def items_from_proto(rows: features_pb2.ItemRows) -> ItemRows:
    """The reverse of items_to_proto; InvalidArgument when the columns differ in length."""
    lengths = {len(column) for column in (rows.ids, rows.item_ids, rows.titles, rows.genres, rows.creators)}
    if len(lengths) > 1 or (rows.ids and rows.features.rows != len(rows.ids)):
        raise InvalidArgument("The columns of items must have one length.")
    if rows.ids and tuple(rows.features.columns) != ITEM_COLUMNS:
        raise InvalidArgument(f"The features of items must be {', '.join(ITEM_COLUMNS)}.")
    return ItemRows(
        ids=ids_from_proto(rows.ids),
        item_ids=list(rows.item_ids),
        titles=list(rows.titles),
        genres=[_split(names) for names in rows.genres],
        creators=[_split(names) for names in rows.creators],
        features=matrix_from_proto(rows.features) if rows.ids else np.empty((0, len(ITEM_COLUMNS)), np.float32),
    )


def _split(names: str) -> tuple[str, ...]:
    return tuple(names.split("|")) if names else ()
