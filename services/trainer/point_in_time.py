"""Features as they were known strictly before a moment."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from feast import FeatureStore

MOMENT = "event_timestamp"
_JUST_BEFORE = timedelta(microseconds=1)


def point_in_time(store: FeatureStore, entities: pl.DataFrame, service: str) -> pl.DataFrame:
    """`entities` with the features of a feature service as further columns, named <view>__<feature>.

    Args:
        store: as `apply_definitions` or `offline_store` returns it.
        entities: user_id and/or item_id (integers), event_timestamp (Datetime, UTC) and any columns of yours. Rows
            keep their order and number; equal rows are allowed.
        service: name of a feature service, for example "ranker_training".

    An event at exactly event_timestamp is not seen. RuntimeError when rows were lost or multiplied on the way.
    """
    keys = [name for name in ("user_id", "item_id") if name in entities.columns]
    asked = entities.select(
        *(pl.col(key).cast(pl.Int64) for key in keys),
        pl.col(MOMENT).cast(pl.Datetime("us", "UTC")) - _JUST_BEFORE,
    )
    job = store.get_historical_features(
        entity_df=asked.to_pandas(),
        features=store.get_feature_service(service),
        full_feature_names=True,
        filter_by_created_timestamp=True,
    )
    answer = pl.DataFrame(pl.from_arrow(job.to_arrow()))
    if len(answer) != len(entities):
        raise RuntimeError(f"The point-in-time join made {len(answer)} rows of {len(entities)}.")
    return entities.hstack(answer.drop(keys, MOMENT).get_columns())
