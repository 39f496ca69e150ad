"""One column of a file as what it is to be: ids, moments, numbers. What a row lacks becomes a reason, not an error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

import duckdb
import polars as pl

from services.runtime.errors import SettingsError
from services.runtime.ids import MAX_EXTERNAL_LENGTH
from services.trainer.data.tabular.request import TimeUnit

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N")
"""Spellings of a value that is not there."""
CONTROL = r"[\p{Cc}\p{Zl}\p{Zp}]"
"""Characters that no id may hold, as the gateway has it."""
EARLIEST_US = int(datetime(1900, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_FACTORS = {"s": 1_000_000, "ms": 1000, "us": 1}
_BEGINS: tuple[tuple[TimeUnit, float], ...] = (("s", 1e11), ("ms", 1e14), ("us", 1e17))
"""Numbers below these are of the unit: in 2001 seconds have 10 digits, milliseconds 13."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A column of N rows."""

    values: pl.Series
    """(N,) null where there is a reason."""
    reasons: pl.Series
    """(N,) why a row cannot be taken; null where it can."""


def texts(column: pl.Series) -> pl.Series:
    """(N,) the column as trimmed text; null where bytes are no UTF-8. Whole numbers are written without a point."""
    if column.dtype == pl.Binary:
        try:
            column = column.cast(pl.String)
        except pl.exceptions.PolarsError:
            column = pl.Series(column.name, [_decoded(value) for value in column.to_list()], pl.String)
    elif column.dtype.is_float():
        whole = column.fill_nan(None).cast(pl.Int64, strict=False)
        column = whole if (whole == column).all() else column.fill_nan(None)
    return column.cast(pl.String).str.strip_chars()


def external_ids(column: pl.Series, noun: str) -> Checked:
    """Ids as the outside world spells them; `noun` is what they are of."""
    spelled = pl.col("id")
    reason = (
        pl.when(spelled.is_null())
        .then(pl.lit(f"the {noun} is missing or is not UTF-8"))
        .when(spelled == "")
        .then(pl.lit(f"the {noun} is missing"))
        .when(spelled.str.len_chars() > MAX_EXTERNAL_LENGTH)
        .then(pl.lit(f"the {noun} is longer than {MAX_EXTERNAL_LENGTH} characters"))
        .when(spelled.str.contains(CONTROL))
        .then(pl.lit(f"the {noun} holds a control character"))
    )
    frame = pl.DataFrame({"id": texts(column)}).with_columns(reason=reason)
    return Checked(frame["id"], frame["reason"])


def numbers(column: pl.Series, noun: str) -> Checked:
    """Finite numbers as float64. A value that is missing is null without a reason."""
    if column.dtype.is_numeric():
        number = column.cast(pl.Float64).fill_nan(None)
        given = number.is_not_null()
    else:
        text = texts(column)
        given = ~text.is_in(MISSING).fill_null(False)
        number = text.cast(pl.Float64, strict=False).set(~given, None)
    bad = pl.col("given") & (pl.col("number").is_null() | ~pl.col("number").is_finite())
    reason = pl.when(bad).then(pl.lit(f"the {noun} is not a number"))
    frame = pl.DataFrame({"given": given, "number": number}).with_columns(reason=reason)
    return Checked(frame["number"], frame["reason"])


class Moments:
    """Reads a column of moments; the unit is settled by the first block that has any, so that order survives."""

    def __init__(self, unit: TimeUnit = "auto", now: datetime | None = None) -> None:
        if unit not in get_args(TimeUnit):
            raise SettingsError(f"There is no time unit {unit!r}; choose one of {', '.join(get_args(TimeUnit))}.")
        self.unit: TimeUnit = unit
        self._latest_us = int(((now or datetime.now(UTC)) + timedelta(days=1)).timestamp() * 1_000_000)

    def read(self, column: pl.Series) -> Checked:
        """(N,) microseconds since 1970. ISO 8601 without an offset is UTC."""
        if column.dtype.is_temporal():
            moments = column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column
            return self._bounded(moments.dt.epoch("us"), column.is_null())
        written = texts(column)
        if self.unit == "auto":
            self.unit = _unit_of(written)
        missing = written.is_null() | (written == "")
        return self._bounded(_iso(written) if self.unit == "iso" else _counted(written, self.unit), missing)

    def _bounded(self, us: pl.Series, missing: pl.Series) -> Checked:
        form = "ISO 8601" if self.unit == "iso" else f"a number of {self.unit} since 1970"
        moment = pl.col("us")
        reason = (
            pl.when("missing")
            .then(pl.lit("the time is missing"))
            .when(moment.is_null())
            .then(pl.lit(f"the time is not {form}"))
            .when(moment > self._latest_us)
            .then(pl.lit("the time lies in the future"))
            .when(moment < EARLIEST_US)
            .then(pl.lit("the time lies before 1900"))
        )
        frame = pl.DataFrame({"us": us, "missing": missing}).with_columns(reason=reason)
        return Checked(frame["us"], frame["reason"])


def _unit_of(written: pl.Series) -> TimeUnit:
    """ISO when most rows are no numbers, else what the middle one's size tells; auto again when there are none."""
    given = written.filter(written.is_not_null() & (written != ""))
    counted = given.cast(pl.Float64, strict=False).drop_nulls()
    if given.is_empty():
        return "auto"
    if len(counted) * 2 < len(given):
        return "iso"
    middle = abs(float(counted.sort()[len(counted) // 2]))
    return next((unit for unit, below in _BEGINS if middle < below), "ns")


def _counted(written: pl.Series, unit: str) -> pl.Series:
    """Whole numbers exactly, others (1700000000.25) as precisely as a float64 is."""
    whole = written.cast(pl.Int64, strict=False)
    broken = written.cast(pl.Float64, strict=False)
    if unit == "ns":
        return whole // 1000
    factor = _FACTORS.get(unit, 1)
    fits = whole.is_between(-(2**62) // factor, 2**62 // factor).fill_null(False)
    whole = whole.set(~fits, None) * factor
    broken = (broken * factor).round().cast(pl.Int64, strict=False)
    return whole.zip_with(whole.is_not_null(), broken)


def _iso(written: pl.Series) -> pl.Series:
    """DuckDB knows the whole of ISO 8601: dates alone, T or blank, fractions, offsets."""
    moments = pl.DataFrame({"moment": written})
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("moments", moments.to_arrow())
        found = connection.sql("SELECT epoch_us(try_cast(moment AS TIMESTAMPTZ)) AS us FROM moments")
        return pl.Series("us", found.to_arrow_table()["us"]).cast(pl.Int64)


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
