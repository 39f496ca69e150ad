"""Feast's online store on Redis with every (entity, view) in one blob, read by one MGET.

    online_store: {type: services.features.packed_store.PackedRedisOnlineStore, connection_string: redis://…}

Feast reads and writes through it unchanged. `feast apply` also stores each view's layout in Redis, where the
features service and the stream writer find it without importing Feast.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, cast

import numpy as np
from feast import Entity, FeatureView, RepoConfig, utils
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from numpy.typing import NDArray
from redis import Redis

from services.features.feast_rows import Read, Written, ids_of, merged, to_feast, view_of
from services.features.packing import VIEWS_KEY, View
from services.features.rewrite import rewrite
from services.features.rows import unpack

CHUNK = 5000
"""Entities per round trip."""

STORE: Literal["services.features.packed_store.PackedRedisOnlineStore"] = (
    "services.features.packed_store.PackedRedisOnlineStore"
)


class PackedRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """Feast's Redis settings; the connection string is a URL, redis://host:port/db or unix:///path."""

    # Feast names a store of its own by a word, any other by its import path.
    type: Literal["services.features.packed_store.PackedRedisOnlineStore"] = STORE  # type: ignore[assignment]
    connection_string: str = "redis://127.0.0.1:6379/0"


class PackedRedisOnlineStore(RedisOnlineStore):
    """Feast's Redis store with one blob per entity and view."""

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> Redis:
        if self._client is None:
            self._client = Redis.from_url(online_store_config.connection_string)
        client = self._client
        assert isinstance(client, Redis)
        return client

    @property
    def async_supported(self) -> Any:
        """Feast's asynchronous calls fall back to the synchronous ones."""
        return super(RedisOnlineStore, self).async_supported

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Stores the layouts of the views that stay and forgets those that go, rows included."""
        for table in tables_to_delete:
            self.delete_table(config, table)
        layouts = {view.name: view_of(view, config.project).to_json() for view in tables_to_keep}
        if layouts:
            self._get_client(config.online_store).hset(VIEWS_KEY, mapping=layouts)

    def delete_table(self, config: RepoConfig, table: FeatureView) -> None:
        """Deletes every row, the index and the layout of a view."""
        client, view = self._get_client(config.online_store), view_of(table, config.project)
        for keys in _chunks(client.scan_iter(view.prefix + b"*", count=CHUNK)):
            client.unlink(*keys)
        client.unlink(view.index)
        client.hdel(VIEWS_KEY, view.name)

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Deletes every view's rows."""
        for table in tables:
            self.delete_table(config, table)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Written],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Writes rows. As in Feast's store an older row does not replace a newer one, and a feature that is not in a
        row keeps its stored value."""
        client, view = self._get_client(config.online_store), view_of(table, config.project)
        for rows in _chunks(data):
            ids = np.unique(ids_of([key for key, *_ in rows]))
            rewrite(client, view, ids, partial(merged, view, rows))
            if progress:
                progress(len(rows))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Read]:
        """Rows of one view as Feast wants them; as in Feast's store a TTL is not enforced here."""
        wanted = [(view_of(table, config.project), ids_of(entity_keys), requested_features)]
        return self._read(config, wanted)[0]

    def _read(
        self, config: RepoConfig, wanted: Sequence[tuple[View, NDArray[np.uint64], list[str] | None]]
    ) -> list[list[Read]]:
        keys = [key for view, ids, _ in wanted for key in view.keys(ids)]
        replies = iter(_mget(self._get_client(config.online_store), keys))
        read = []
        for view, ids, names in wanted:
            rows = unpack(view, ids, list(itertools.islice(replies, len(ids))))
            read.append(to_feast(rows, names or list(view.fields)))
        return read

    def _read_features_per_fv(
        self,
        config: RepoConfig,
        grouped_refs: Any,
        join_key_values: Any,
        entity_name_to_join_key_map: Any,
        online_features_response: Any,
        full_feature_names: bool,
        include_feature_view_version_metadata: bool,
    ) -> None:
        """All views of a request in one MGET."""
        wanted, places = [], []
        for table, names in grouped_refs:
            entities, indexes, length = utils._get_unique_entities(table, join_key_values, entity_name_to_join_key_map)
            ids = ids_of(utils._get_entity_key_protos(entities))
            wanted.append((view_of(table, config.project), ids, list(names)))
            places.append((table, list(names), indexes, length))
        for (table, names, indexes, length), rows in zip(places, self._read(config, wanted), strict=True):
            utils._populate_response_from_feature_data(
                names, rows, indexes, online_features_response, full_feature_names, table, length,
                include_feature_view_version_metadata,
            )  # fmt: skip


def _chunks(rows: Any) -> Iterator[tuple[Any, ...]]:
    iterator = iter(rows)
    while chunk := tuple(itertools.islice(iterator, CHUNK)):
        yield chunk


def _mget(client: Redis, keys: list[bytes]) -> list[bytes | None]:
    return cast(list[bytes | None], client.mget(keys)) if keys else []
