"""Read, decide and write rows of one view in one optimistic transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray
from redis import Redis, WatchError

from services.features.packing import View
from services.features.rows import Rows, unpack

ATTEMPTS = 20
"""Times a transaction is tried when another writer touches its keys meanwhile."""


def rewrite(client: Redis, view: View, ids: NDArray[np.uint64], decide: Callable[[Rows], dict[bytes, bytes]]) -> None:
    """Writes the blobs that `decide` returns for the rows stored now; `ids` are distinct.

    TimeoutError when other writers got in between ATTEMPTS times.
    """
    if not len(ids):
        return
    keys = view.keys(ids)
    for _ in range(ATTEMPTS):
        with client.pipeline() as pipe:
            pipe.watch(*keys)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            blobs = decide(unpack(view, ids, cast(list[bytes | None], pipe.mget(keys))))
            if not blobs:
                return
            pipe.multi()
            pipe.mset(blobs)
            if view.indexed:
                pipe.sadd(view.index, *(key[len(view.prefix) :] for key in blobs))
            try:
                pipe.execute()
                return
            except WatchError:
                continue
    raise TimeoutError(f"{ATTEMPTS} attempts to write {view.name} met another writer; write in one place only.")
