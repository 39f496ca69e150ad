"""Columns as ids, moments and numbers, and the reasons of rows that have none."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.errors import SettingsError
from services.trainer.data.tabular.fields import Moments, external_ids, numbers, texts
from services.trainer.data.tabular.request import TimeUnit
from tests.trainer.tabular.shop import NOW

MOMENT = datetime(2024, 5, 1, 12, 30, 15, 250_000, UTC)
US = int(MOMENT.timestamp() * 1_000_000)


def _bytes(*values: str) -> pl.Series:
    return pl.Series([value.encode() for value in values], dtype=pl.Binary)


def test_ids_are_as_they_are_spelled() -> None:
    spelled = ["007", "7", str(2**64 + 1), "Ünal", "a b", "-1", "1.0"]
    assert external_ids(_bytes(*spelled), "user").values.to_list() == spelled
    assert external_ids(_bytes(" x "), "user").values.to_list() == ["x"]


def test_numbers_of_parquet_are_spelled_without_a_point_even_where_gaps_made_them_floats() -> None:
    assert texts(pl.Series([2**63 + 5], dtype=pl.UInt64)).to_list() == [str(2**63 + 5)]
    assert texts(pl.Series([1.0, None, float("nan")])).to_list() == ["1", None, None]
    assert texts(pl.Series(["b"], dtype=pl.Categorical)).to_list() == ["b"]


def test_an_id_that_the_gateway_would_refuse_has_a_reason() -> None:
    column = pl.Series([b"", b"x" * 257, b"a\x07b", "a\u2028b".encode(), b"\xff", b"fine"], dtype=pl.Binary)
    checked = external_ids(column, "item")
    assert checked.reasons.to_list() == [
        "the item is missing", "the item is longer than 256 characters", "the item holds a control character",
        "the item holds a control character", "the item is missing or is not UTF-8", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        (str(US / 1e6), "s"), (str(US // 1000), "ms"), (str(US), "us"), (str(US * 1000), "ns"),
        ("2024-05-01T12:30:15.250Z", "iso"), ("2024-05-01 14:30:15.25+02:00", "iso"),
        ("2024-05-01 12:30:15.250", "iso"),
    ],
)  # fmt: skip
def test_the_unit_of_a_moment_is_found(written: str, unit: TimeUnit) -> None:
    moments = Moments("auto", NOW)
    assert moments.read(_bytes(written)).values.to_list() == [US]
    assert moments.unit == unit


def test_a_date_alone_is_its_midnight() -> None:
    midnight = int(datetime(2024, 5, 1, tzinfo=UTC).timestamp() * 1_000_000)
    assert Moments("auto", NOW).read(_bytes("2024-05-01")).values.to_list() == [midnight]
    assert Moments("auto", NOW).read(pl.Series([date(2024, 5, 1)])).values.to_list() == [midnight]


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_moments_of_parquet_keep_their_type(unit: str) -> None:
    column = pl.Series([MOMENT]).cast(pl.Datetime(unit, "Europe/Berlin"))  # type: ignore[arg-type]  # a plain str
    assert Moments("auto", NOW).read(column).values.to_list() == [US]


def test_the_first_rows_settle_the_unit_so_that_small_numbers_stay_before_large_ones() -> None:
    moments = Moments("auto", NOW)
    moments.read(_bytes(str(US // 1000)))
    assert moments.read(_bytes("1000")).values.to_list() == [1_000_000]
    assert Moments("ms", NOW).read(_bytes("1000")).values.to_list() == [1_000_000]


def test_a_moment_that_cannot_be_has_a_reason() -> None:
    checked = Moments("s", NOW).read(_bytes("", "soon", "2000000000", "-9000000000", "1e30", "1700000000"))
    assert checked.reasons.to_list() == [
        "the time is missing", "the time is not a number of s since 1970", "the time lies in the future",
        "the time lies before 1900", "the time is not a number of s since 1970", None,
    ]  # fmt: skip
    assert Moments("iso", NOW).read(_bytes("2024-13-01")).reasons.to_list() == ["the time is not ISO 8601"]


def test_a_unit_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="no time unit 'h'"):
        Moments("h")  # type: ignore[arg-type]  # what somebody may write


@given(st.lists(st.integers(0, int(NOW.timestamp() * 1000)), min_size=1, max_size=20))
def test_whole_numbers_lose_nothing(times_ms: list[int]) -> None:
    read = Moments("ms", NOW).read(_bytes(*map(str, times_ms)))
    assert read.values.to_list() == [time * 1000 for time in times_ms]
    assert read.reasons.null_count() == len(times_ms)


def test_a_value_that_is_missing_is_no_mistake_and_one_that_is_no_number_is() -> None:
    checked = numbers(_bytes("4.5", "", "NA", "nan", "many", "inf", "-1"), "value")
    assert checked.values.to_list()[:4] == [4.5, None, None, None]
    assert checked.reasons.is_not_null().to_list() == [False, False, False, False, True, True, False]
    typed = numbers(pl.Series([4, None, float("nan"), float("inf")], strict=False), "value")
    assert typed.reasons.is_not_null().to_list() == [False, False, False, True]
