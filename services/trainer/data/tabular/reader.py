"""Blocks of interactions, checked row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from services.trainer.data.tabular.fields import Checked, Moments, external_ids, numbers
from services.trainer.data.tabular.rejects import Rejects
from services.trainer.data.tabular.request import ImportRequest
from services.trainer.data.tabular.roles import Column
from services.trainer.data.tabular.table_files import Block


@dataclass(slots=True)
class InteractionReader:
    """What the file of interactions says, as columns of the house."""

    request: ImportRequest
    columns: Mapping[str, Column]
    """By role."""
    rejects: Rejects
    moments: Moments
    low: float = float("inf")
    """Least value seen, as the file has it."""
    high: float = float("-inf")

    @classmethod
    def of(
        cls, request: ImportRequest, columns: Mapping[str, Column], rejects: Rejects, now: datetime
    ) -> InteractionReader:
        """Before the first block; moments after `now` are rejected."""
        return cls(request, columns, rejects, Moments(request.time_unit, now))

    @property
    def names(self) -> list[str]:
        """The columns to read."""
        return [column.name for column in self.columns.values()]

    @property
    def reading(self) -> dict[str, str]:
        """Role -> how its column was read, as far as it could have been read otherwise."""
        told = {"time": "" if self.moments.unit == "auto" else self.moments.unit, "value": str(self.request.scale)}
        return {role: how for role, how in told.items() if role in self.columns}

    def read(self, block: Block) -> pl.DataFrame:
        """(N,) user, item, us, value and row, without the rows that cannot be taken."""
        raw = block.frame.rename(dict(zip(block.frame.columns, self.columns, strict=True)))
        users, items = external_ids(raw["user"], "user"), external_ids(raw["item"], "item")
        moments, ratings = self._moments(raw), self._ratings(raw)
        columns = {"user": users, "item": items, "us": moments, "value": ratings}
        reasons = pl.select(pl.coalesce([checked.reasons for checked in columns.values()])).to_series()
        for place in reasons.is_not_null().arg_true().to_list():
            self.rejects.add(self.request.interactions, int(block.lines[place]), reasons[place], _said(raw.row(place)))
        frame = pl.DataFrame({name: checked.values for name, checked in columns.items()})
        return frame.with_columns(row=pl.Series(block.lines)).filter(reasons.is_null())

    def _moments(self, raw: pl.DataFrame) -> Checked:
        """Without a column every row is of one moment, and the order of rows is all there is."""
        if "time" in self.columns:
            return self.moments.read(raw["time"])
        return Checked(pl.repeat(0, len(raw), dtype=pl.Int64, eager=True), _nothing(raw, pl.String))

    def _ratings(self, raw: pl.DataFrame) -> Checked:
        if "value" not in self.columns:
            return Checked(_nothing(raw, pl.Float64), _nothing(raw, pl.String))
        values = numbers(raw["value"], "value")
        given = values.values.filter(values.reasons.is_null()).drop_nulls().to_numpy()
        self.low, self.high = min(self.low, given.min(initial=np.inf)), max(self.high, given.max(initial=-np.inf))
        ratings = pl.Series(self.request.scale.ratings(values.values.fill_null(float("nan")).to_numpy()))
        outside = ratings.is_nan() & values.values.is_not_null()
        reason = pl.when(outside).then(pl.lit("the value lies outside the scale"))
        return Checked(ratings.fill_nan(None), pl.select(pl.coalesce(values.reasons, reason)).to_series())

    def require_understood(self) -> None:
        """SettingsError when there are values and nobody can know what they say."""
        if self.low <= self.high:
            self.request.scale.require_stars(self.columns["value"].name, self.low, self.high)


def _nothing(raw: pl.DataFrame, kind: type[pl.DataType]) -> pl.Series:
    return pl.Series([None], dtype=kind).new_from_index(0, len(raw))


def _said(row: tuple[object, ...]) -> str:
    return ", ".join(part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part) for part in row)
