"""Every feature of the stack, defined once: entities, views and what each use asks for.

A view is written by one of two hands. Profiles come from batches (imports and catalog changes), activity comes from
the stream of events; the trainer replays history through the same fold, so the offline files below hold what the
online store held at any moment.
"""

from __future__ import annotations

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Array, FeastType, Float32, Float64, Int32, Int64, String

from services.ingest.activity import RECENT_HALF_LIFE_DAYS

ACTIVITY_TTL = timedelta(days=5 * 365)
"""Activity older than this is no longer believed; wide, because a public data set's events lie years back."""

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64, description="Someone who is shown items.")
item = Entity(
    name="item",
    join_keys=["item_id"],
    value_type=ValueType.INT64,
    description="Something that can be shown.",
)

COUNTS: dict[str, FeastType] = {
    "event_count": Int64,
    "like_count": Int64,
    "judged_count": Int64,
    "value_count": Int64,
    "value_sum": Float64,
    "recent_count": Float64,
    "like_rate": Float32,
    "mean_value": Float32,
    "last_seen_us": Int64,
    "last_seen_days": Float32,
}
"""Counts and sums are the state of the fold; like_rate, mean_value and last_seen_days derive from them."""


def _view(
    name: str, entity: Entity, fields: dict[str, FeastType], ttl: timedelta, about: str, **tags: str
) -> FeatureView:
    """A view whose history lies in offline/<name>.parquet of the data folder."""
    return FeatureView(
        name=name,
        entities=[entity],
        ttl=ttl,
        schema=[Field(name=entity.join_key, dtype=Int64)]
        + [Field(name=field, dtype=dtype) for field, dtype in fields.items()],
        source=FileSource(
            name=name,
            path=f".data/offline/{name}.parquet",
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        ),
        description=about,
        tags=tags,
    )


user_profile = _view(
    "user_profile",
    user,
    {"external_id": String, "gender": String, "age": String, "occupation": String, "region": String},
    timedelta(0),
    "Who the user is; every attribute is a category and may be unknown.",
    writer="batch",
)
item_profile = _view(
    "item_profile",
    item,
    {
        "external_id": String,
        "title": String,
        "year": Int32,
        "genres": Array(String),
        "creators": Array(String),
        "created_days": Float32,
    },
    timedelta(0),
    "What the item is. The catalog is the set of items that have this view.",
    writer="batch",
    indexed="yes",
)
user_activity = _view(
    "user_activity",
    user,
    COUNTS,
    ACTIVITY_TTL,
    f"Counts and rates of the user's events; recent_count has a half-life of {RECENT_HALF_LIFE_DAYS:g} days.",
    writer="stream",
)
user_history = _view(
    "user_history",
    user,
    {"history": Array(Int64), "history_times": Array(Int64), "history_values": Array(Float32)},
    ACTIVITY_TTL,
    "The newest items the user turned to, oldest first: id, milliseconds since 1970, rating or NaN.",
    writer="stream",
)
user_exclusions = _view(
    "user_exclusions",
    user,
    {"seen": Array(Int64), "hidden": Array(Int64)},
    ACTIVITY_TTL,
    "Items not to be shown again: interacted with, and hidden on request.",
    writer="stream",
)
item_activity = _view(
    "item_activity",
    item,
    COUNTS,
    ACTIVITY_TTL,
    f"Counts and rates of the item's events; recent_count has a half-life of {RECENT_HALF_LIFE_DAYS:g} days.",
    writer="stream",
)

user_request = FeatureService(
    name="user_request",
    features=[user_profile, user_activity, user_history, user_exclusions],
    description="One user at the moment of a request.",
)
item_table = FeatureService(
    name="item_table",
    features=[item_profile, item_activity],
    description="Every item, as scorers keep them.",
)
ranker_training = FeatureService(
    name="ranker_training",
    features=[
        user_profile,
        user_activity[["event_count", "recent_count", "like_rate", "mean_value", "last_seen_days"]],
        item_profile[["year", "created_days"]],
        item_activity[["event_count", "recent_count", "like_rate", "mean_value", "last_seen_days"]],
    ],
    description="What the ranker may know of a user and an item at the time of an impression.",
)
