"""An empty online store is filled from the offline views, once for each snapshot of the lake."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from redis import Redis

from services.ingest.materialize import materialize
from services.ingest.rebuild import FILLED, replay_catalog
from services.runtime.stores import redis_server


def fill_online_store(
    data_dir: Path, redis_url: str = "", progress: Callable[[int, int], None] = lambda a, b: None
) -> bool:
    """Applies the definitions and writes the newest offline rows, unless that was done; True when it was done now.

    Without a `redis_url` the Redis of the data folder is started for as long as it takes.
    """
    snapshot = (data_dir / "lake" / "snapshot.json").read_bytes()
    with ExitStack() as stack:
        url = redis_url or stack.enter_context(redis_server(data_dir / "redis"))
        client = stack.enter_context(Redis.from_url(url))
        if client.get(FILLED) == snapshot:
            return False
        # Feast takes seconds to import; a store that is filled already need not wait for it.
        from services.features.definitions import apply_definitions, views

        apply_definitions(data_dir, url)
        layouts = views()
        share = {name: place for place, name in enumerate(layouts)}
        materialize(
            data_dir, url, layouts,
            lambda view, done, total: progress(share[view] * 100 + 100 * done // max(total, 1), 100 * len(share)),
        )  # fmt: skip
        # The files know the imported catalog only; a Redis that was lost took the puts and deletions since with it.
        replay_catalog(data_dir / "lake", client)
        client.set(FILLED, snapshot)
    return True
