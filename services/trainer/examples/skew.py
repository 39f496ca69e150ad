"""Whether training and serving agree: logged feature rows against the same rows computed anew from the lake.

    report = skew(examples, lake, spec, sample=500, seed=0)
    report.worst(), report.columns["genre_taste"].equal

The source scores of retrieval and their ranks need the artifacts that served; every other column follows from the
catalog and from the events before the slate, and is compared. An event of the last moments before a slate may have been
folded into the online store after it, so what is logged may lie between the values with and without such events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.feature_blocks import RETRIEVAL_COLUMNS
from models.spec import FeatureSpec
from models.user import UserState
from services.trainer.examples.as_of import AsOf
from services.trainer.examples.examples import Examples

ABSOLUTE, RELATIVE = 1e-3, 1e-4
"""Values are equal when they differ by no more than the sum of both tolerances; a year must not pass for the next."""
LAG_US = 2_000_000
"""Age below which an event may not have reached the scorer yet, in microseconds."""
_WORST = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not what was logged."""

    recommendation_id: str
    item_id: int
    logged: float
    computed: float


@dataclass(frozen=True, slots=True)
class ColumnSkew:
    """One column."""

    equal: float
    """Share of the rows on which both agree, 1 when there are none."""
    worst: tuple[Difference, ...] = ()
    """The largest differences."""


@dataclass(frozen=True, slots=True)
class SkewReport:
    """What was compared."""

    slates: int
    rows: int
    columns: Mapping[str, ColumnSkew]
    """Every comparable column, in the spec's order."""

    def worst(self) -> tuple[str, ColumnSkew]:
        """The column with the smallest share of equal rows."""
        return min(self.columns.items(), key=lambda column: column[1].equal)

    def below(self, share: float) -> list[str]:
        """A sentence for each column that agrees on less than `share` of the rows."""
        return [
            f"Column {name} differs in {1 - column.equal:.1%} of {self.rows} logged rows."
            for name, column in self.columns.items()
            if column.equal < share
        ]


def comparable_columns(spec: FeatureSpec) -> tuple[str, ...]:
    """Columns of the spec that follow from the catalog and the events alone."""
    retrieval = {*RETRIEVAL_COLUMNS, *(f"{name}_rank" for name in RETRIEVAL_COLUMNS)}
    return tuple(name for name in spec.columns if name not in retrieval)


def skew(examples: Examples, lake: Path, spec: FeatureSpec, sample: int = 500, seed: int = 0) -> SkewReport:
    """Compares `sample` slates drawn at random; what the catalog topic ever changed is left out."""
    known = AsOf.of(lake)
    slates = examples.group_sizes.size
    chosen = examples.of_slates(np.random.default_rng(seed).permutation(slates) < sample)
    slates = chosen.group_sizes.size
    rows, fresh, stale = _computed(chosen, known, spec)
    logged = chosen.features[rows]
    slate_of = np.repeat(np.arange(slates), chosen.group_sizes)[rows]
    columns: dict[str, ColumnSkew] = {}
    for name in comparable_columns(spec):
        place = spec.columns.index(name)
        values = logged[:, place], fresh[:, place], stale[:, place]
        between = name in spec.numeric_columns
        columns[name] = _compared(*values, between, chosen.recommendation_ids[slate_of], chosen.item_ids[rows])
    return SkewReport(int(np.unique(slate_of).size), int(rows.size), columns)


def _computed(
    examples: Examples, known: AsOf, spec: FeatureSpec
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """(R,) rows of the examples that can be computed anew, and their (R, F) features: with all earlier events, and
    without those of the last LAG_US. Retrieval scores are NaN."""
    nothing = np.empty((0, len(spec.columns)), np.float32)
    if not len(examples):
        return np.empty(0, np.int64), nothing, nothing
    starts = np.cumsum(examples.group_sizes) - examples.group_sizes
    ids, times = examples.user_ids[starts].tolist(), examples.times_us[starts].tolist()
    fresh = known.users_before(list(zip(ids, times, strict=True)))
    stale = known.users_before([(user, us - LAG_US) for user, us in zip(ids, times, strict=True)])
    parts = [
        _steady(examples.item_ids, part, user, known)
        for part, user in zip(np.split(np.arange(len(examples)), starts[1:]), fresh, strict=True)
    ]
    needed = [
        np.unique(np.concatenate([examples.item_ids[part], now.history, before.history]))
        for part, now, before in zip(parts, fresh, stale, strict=True)
    ]
    moments = examples.times_us[starts]
    tables = known.items_before(np.concatenate([moments, moments - LAG_US]), [*needed, *needed])
    features = [
        [
            spec.assemble(user, table, examples.item_ids[part], None, us // 1000)
            for user, table, part, us in zip(users, of_users, parts, times, strict=True)
        ]
        for users, of_users in ((fresh, tables[: len(times)]), (stale, tables[len(times) :]))
    ]
    return np.concatenate(parts), np.concatenate(features[0]), np.concatenate(features[1])


def _steady(item_ids: NDArray[np.uint64], part: NDArray[np.int64], user: UserState, known: AsOf) -> NDArray[np.int64]:
    """Of a slate's rows those whose item the catalog topic never touched; none if it touched user or history."""
    if np.uint64(user.user_id) in known.changed_users or np.isin(user.history, known.changed_items).any():
        return part[:0]
    return part[~np.isin(item_ids[part], known.changed_items)]


def _compared(
    logged: NDArray[np.float32],
    fresh: NDArray[np.float32],
    stale: NDArray[np.float32],
    between: bool,
    recommendation_ids: NDArray[np.str_],
    item_ids: NDArray[np.uint64],
) -> ColumnSkew:
    """`between`: whether a value between both is explained by some of the newest events; indices have no between."""
    if not logged.size:
        return ColumnSkew(1.0)
    equal = np.isclose(logged, fresh, RELATIVE, ABSOLUTE, equal_nan=True)
    equal |= np.isclose(logged, stale, RELATIVE, ABSOLUTE, equal_nan=True)
    if between:
        equal |= (logged >= np.minimum(fresh, stale)) & (logged <= np.maximum(fresh, stale))
    distance = np.where(equal, 0.0, np.nan_to_num(np.abs(logged - fresh), nan=np.inf))
    largest = [place for place in np.argsort(-distance, kind="stable")[:_WORST].tolist() if not equal[place]]
    worst = tuple(
        Difference(str(recommendation_ids[place]), int(item_ids[place]), float(logged[place]), float(fresh[place]))
        for place in largest
    )
    return ColumnSkew(float(equal.mean()), worst)
