"""What was shown joined with what came of it: the lake's impressions and events become examples.

    reading = read_examples(lake, spec.columns, accepts, since=week_ago, until=now, window=timedelta(minutes=30))
    reading.examples.content_hash, reading.left_out

The lake is read anew each time, so reactions that arrived late are in the next dataset. Rows come in the order of (time
of the slate, recommendation_id, position) whatever files they lie in, and a record that lies in several counts once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from services.ingest.activity import LIKE_VALUE, MAX_RATING
from services.trainer.examples.examples import CLICKED, LIKED, Examples
from services.trainer.examples.partitions import partitions

CLOCK_SLACK = timedelta(seconds=5)
"""How much earlier than its slate a reaction may be stamped: two machines, two clocks."""
TURNED_TO = ("click", "watch")
APPROVED = ("like", "purchase", "follow")

NO_RANKER = "no ranker: answered by a fallback"
OTHER_SPEC = "features of another spec"
NO_FEATURES = "no features were logged"
UNRIPE = "unripe: reactions may still come"

_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Reading:
    """Examples, and what was left out on the way."""

    examples: Examples
    slates: int
    """Slates of the period, those left out included."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Slates by the reason why they are not among the examples."""


def read_examples(
    lake: Path,
    columns: Sequence[str],
    accepts: Callable[[str], bool],
    *,
    since: datetime,
    until: datetime,
    window: timedelta,
    ripe: timedelta | None = None,
) -> Reading:
    """Slates shown from `since` to before `until`, graded by the reactions of the `window` after each.

    Args:
        lake: folder with impressions/date=…/ and events/date=…/.
        columns: those of the spec that will be trained; slates with other columns are left out.
        accepts: whether the features of this version of the ranker are of that spec, vocabularies included.
        since, until: with a time zone.
        window: how long after a slate a reaction to it counts.
        ripe: how old a slate must be at `until`; the window by default, so that all reactions had their time.

    An item's grade is the highest of its reactions. Rows keep the features as they were logged; an item without any is
    left out of its slate.
    """
    shown = _impressions(lake, columns, since, until)
    slates = _judged(shown, accepts, until - (window if ripe is None else ripe))
    reasons = slates.filter(pl.col("reason") != "")["reason"].value_counts(sort=True)
    kept = shown.filter("has_features").join(
        slates.filter(pl.col("reason") == "").select("recommendation_id", "arm"),
        on="recommendation_id",
        maintain_order="left",
    )
    graded = kept.join(
        _reactions(lake, since, until, window, kept),
        on=["recommendation_id", "item_id"],
        how="left",
        maintain_order="left",
    )
    return Reading(_examples(graded, tuple(columns)), slates.height, dict(reasons.iter_rows()))


def _impressions(lake: Path, columns: Sequence[str], since: datetime, until: datetime) -> pl.DataFrame:
    """Shown items of the period once each, in the order of the examples."""
    files = partitions(lake / "impressions", since, until)
    if not files:
        return pl.DataFrame(schema=_SHOWN)
    wanted = _SEPARATOR.join(columns)
    return (
        pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore", hive_partitioning=False)
        .filter(pl.col("ts").is_between(since, until, closed="left"))
        .select(
            *(name for name in _SHOWN if name not in ("same_columns", "has_features")),
            # Compared here, so that the names of a million rows never lie in memory together.
            same_columns=pl.col("feature_columns").list.join(_SEPARATOR) == wanted,
            # The last column is an index into a vocabulary, which is unknown (NaN) only where the whole row is.
            has_features=pl.col("features").list.last().is_not_nan().fill_null(False),
        )
        .select(*_SHOWN)
        .sort("ts", "recommendation_id", "position", "item_id", maintain_order=True)
        .unique(["recommendation_id", "position"], keep="first", maintain_order=True)
        .collect(engine="streaming")
    )


_SHOWN: dict[str, pl.DataType | type[pl.DataType]] = {
    "recommendation_id": pl.String, "ts": pl.Datetime("us", "UTC"), "position": pl.Int32, "user_id": pl.UInt64,
    "item_id": pl.UInt64, "propensity": pl.Float32, "slot": pl.String, "features": pl.List(pl.Float32),
    "model_versions": pl.String, "experiments": pl.String, "same_columns": pl.Boolean,
    "has_features": pl.Boolean,
}  # fmt: skip


def _judged(shown: pl.DataFrame, accepts: Callable[[str], bool], ripe_before: datetime) -> pl.DataFrame:
    """One row per slate: recommendation_id, arm, and the reason why it is left out, empty for those that stay."""
    slates = shown.group_by("recommendation_id", maintain_order=True).agg(
        pl.col("ts", "model_versions", "experiments").first(),
        same=pl.col("same_columns").fill_null(False).all(),
        known=pl.col("has_features").any(),
    )
    versions = {text: _ranker_of(text) for text in slates["model_versions"].unique()}
    accepted = {version: bool(version) and accepts(version) for version in set(versions.values())}
    reason = (
        pl.when(pl.col("ranker") == "").then(pl.lit(NO_RANKER))
        .when(~pl.col("known")).then(pl.lit(NO_FEATURES))
        .when(~pl.col("same") | ~pl.col("accepted")).then(pl.lit(OTHER_SPEC))
        .when(pl.col("ts") > ripe_before).then(pl.lit(UNRIPE))
        .otherwise(pl.lit(""))
    )  # fmt: skip
    arms = {text: _arm_of(text) for text in slates["experiments"].unique()}
    return (
        slates.with_columns(
            ranker=_mapped("model_versions", versions, pl.String),
            arm=_mapped("experiments", arms, pl.String),
        )
        .with_columns(accepted=_mapped("ranker", accepted, pl.Boolean))
        .select("recommendation_id", "arm", reason=reason)
    )


def _mapped(column: str, values: Mapping[str, object], kind: type[pl.DataType]) -> pl.Expr:
    if not values:
        return pl.lit(None, dtype=kind).alias(column)
    return pl.col(column).replace_strict(list(values), list(values.values()), return_dtype=kind)


def _ranker_of(model_versions: str | None) -> str:
    return str(json.loads(model_versions or "{}").get("ranker", ""))


def _arm_of(experiments: str | None) -> str:
    """A user is in one arm for all models that are tried together."""
    arms = set(json.loads(experiments or "{}").values())
    return "challenger" if "challenger" in arms else "champion" if "champion" in arms else "none"


def _reactions(lake: Path, since: datetime, until: datetime, window: timedelta, shown: pl.DataFrame) -> pl.DataFrame:
    """The highest grade by (recommendation_id, item_id) among the events of each slate's window."""
    files = partitions(lake / "events", since - CLOCK_SLACK, until + window)
    if not files or shown.is_empty():
        return pl.DataFrame(schema={"recommendation_id": pl.String, "item_id": pl.UInt64, "grade": pl.Float32})
    likes = pl.col("type").is_in(APPROVED) | (
        pl.col("type").is_in(TURNED_TO) & pl.col("value").is_between(LIKE_VALUE, MAX_RATING).fill_null(False)
    )
    grade = pl.when(likes).then(LIKED).when(pl.col("type").is_in(TURNED_TO)).then(CLICKED).otherwise(0.0)
    slates = shown.select("recommendation_id", slate_ts="ts").unique()
    return (
        pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore", hive_partitioning=False)
        .filter(pl.col("recommendation_id").is_not_null())
        .select("recommendation_id", "item_id", "ts", grade.cast(pl.Float32).alias("grade"))
        .join(slates.lazy(), on="recommendation_id")
        .filter(pl.col("ts").is_between(pl.col("slate_ts") - CLOCK_SLACK, pl.col("slate_ts") + window))
        .group_by("recommendation_id", "item_id")
        .agg(pl.col("grade").max())
        .collect(engine="streaming")
    )


def _examples(rows: pl.DataFrame, columns: tuple[str, ...]) -> Examples:
    slates = rows.group_by("recommendation_id", maintain_order=True).len()
    return Examples(
        columns=columns,
        features=_matrix(rows["features"], len(columns)),
        labels=rows["grade"].fill_null(0.0).cast(pl.Float32).to_numpy(),
        user_ids=rows["user_id"].to_numpy(),
        item_ids=rows["item_id"].to_numpy(),
        times_us=rows["ts"].dt.epoch("us").to_numpy(),
        positions=rows["position"].cast(pl.Int64).to_numpy(),
        propensities=rows["propensity"].fill_null(1.0).to_numpy(),
        slots=_texts(rows["slot"]),
        arms=_texts(rows["arm"]),
        group_sizes=slates["len"].cast(pl.Int64).to_numpy(),
        recommendation_ids=_texts(slates["recommendation_id"]),
    )


def _matrix(features: pl.Series, width: int) -> NDArray[np.float32]:
    flat = features.explode(empty_as_null=False).to_numpy()
    return np.ascontiguousarray(flat, np.float32).reshape(-1, width)


def _texts(values: pl.Series) -> NDArray[np.str_]:
    return np.array(values.fill_null("").to_list(), np.str_)
