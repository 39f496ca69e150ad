"""What the feature store held of both sides of every event when its second began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from services.ingest.activity import PRIOR_LIKE_RATE, PRIOR_VALUE
from services.trainer.p2.log import Floats, RatingLog

if TYPE_CHECKING:
    from feast import FeatureStore

SERVICE = "ranker_training"
"""The feature service that the activity is asked of."""


@dataclass(frozen=True)
class Activity:
    """What the feature store held of each event's user, or of its item, when the event's second began; all (E,)."""

    count: Floats
    like_rate: Floats
    mean: Floats

    @classmethod
    def of(cls, joined: pl.DataFrame, view: str) -> Activity:
        """From a join's columns; an entity without a row yet has the priors."""
        unknown = {"event_count": 0, "like_rate": PRIOR_LIKE_RATE, "mean_value": PRIOR_VALUE}
        return cls(
            *(joined[f"{view}__{name}"].cast(pl.Float32).fill_null(prior).to_numpy() for name, prior in unknown.items())
        )


class Known(NamedTuple):
    """The activity of both sides of every event."""

    user: Activity
    item: Activity


def known_activity(store: FeatureStore, log: RatingLog) -> Known:
    """Feast's point-in-time join at the beginning of every event's second."""
    from services.trainer.point_in_time import MOMENT, point_in_time  # imports Feast, which takes seconds

    begins = pl.Series(MOMENT, log.seconds * 1_000_000 + log.shift_us).cast(pl.Datetime("us", "UTC"))
    entities = pl.DataFrame([
        pl.Series("user_id", log.user_ids[log.users]), pl.Series("item_id", log.item_ids[log.items]), begins,
    ])  # fmt: skip
    joined = point_in_time(store, entities, SERVICE)
    return Known(Activity.of(joined, "user_activity"), Activity.of(joined, "item_activity"))


def activity_columns(known: Known) -> dict[str, NDArray[np.floating]]:
    """Counts, rates and means by column name, (E,) each."""
    columns: dict[str, NDArray[np.floating]] = {}
    for name, side in known._asdict().items():
        columns[f"{name}_log_count"] = np.log1p(side.count)
        columns[f"{name}_like_rate"] = side.like_rate
        columns[f"{name}_mean"] = side.mean
    return columns
