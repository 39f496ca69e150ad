"""The definitions of feature_repo/, applied to a data folder and a Redis."""

from __future__ import annotations

import copy
from pathlib import Path

from feast import FeatureStore, FeatureView, RepoConfig
from feast.infra.offline_stores.file_source import FileSource

from feature_repo import features
from services.features.asof_store import AsofDuckDBOfflineStoreConfig
from services.features.feast_rows import view_of
from services.features.packed_store import PackedRedisOnlineStoreConfig
from services.features.packing import View

ENTITIES = (features.user, features.item)
VIEWS = (
    features.user_profile, features.user_activity, features.user_history, features.user_exclusions,
    features.item_profile, features.item_activity,
)  # fmt: skip
SERVICES = (features.user_request, features.item_table, features.ranker_training)


def offline_folder(data_dir: Path) -> Path:
    """Where the Parquet history of each view lies, one <view>.parquet each."""
    return data_dir.resolve() / "offline"


def open_store(data_dir: Path, redis_url: str) -> FeatureStore:
    """Feast's store over the registry, the offline folder and Redis; touches nothing."""
    return _store(data_dir, "registry.db", PackedRedisOnlineStoreConfig(connection_string=redis_url))


def apply_definitions(data_dir: Path, redis_url: str) -> FeatureStore:
    """What `feast apply` does, for this folder and this Redis. Safe to repeat; rows of views that stay are kept."""
    return _applied(open_store(data_dir, redis_url), data_dir)


def offline_store(data_dir: Path) -> FeatureStore:
    """The definitions over the offline folder alone, for point-in-time joins: needs no Redis and touches none.

    It has a registry of its own, so that a running stack keeps what it applied.
    """
    return _applied(_store(data_dir, "offline.db", None), data_dir)


def views() -> dict[str, View]:
    """The layout of every view by its name."""
    return {view.name: view_of(view) for view in VIEWS}


def _store(data_dir: Path, registry: str, online: PackedRedisOnlineStoreConfig | None) -> FeatureStore:
    return FeatureStore(
        config=RepoConfig(
            project="cascade",
            provider="local",
            registry=str(data_dir.resolve() / "feast" / registry),
            offline_store=AsofDuckDBOfflineStoreConfig(),
            online_store=online,
            entity_key_serialization_version=3,
        )
    )


def _applied(store: FeatureStore, data_dir: Path) -> FeatureStore:
    (data_dir / "feast").mkdir(parents=True, exist_ok=True)
    store.apply([*ENTITIES, *(_located(view, data_dir) for view in VIEWS), *SERVICES])
    return store


def _located(view: FeatureView, data_dir: Path) -> FeatureView:
    placed = copy.copy(view)
    placed.batch_source = FileSource(
        name=view.name,
        path=str(offline_folder(data_dir) / f"{view.name}.parquet"),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    return placed
