"""Columns by role: told ones win, usual names are guessed, what is missing is said with what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime.errors import SettingsError
from services.trainer.data.tabular.columns import OPTIONS
from services.trainer.data.tabular.roles import INTERACTION_NAMES, ITEM_NAMES, NONE, Column, assign

FILE = Path("log.csv")
REQUIRED = {"user", "item", "time"}


def _assign(present: list[str], **told: str) -> dict[str, Column]:
    return assign(FILE, present, INTERACTION_NAMES, told, REQUIRED, OPTIONS)


@pytest.mark.parametrize(
    "present",
    [
        ["userId", "movieId", "rating", "timestamp"],
        ["user_id:token", "item_id:token", "rating:float", "timestamp:float"],
        ["Customer ID", "SKU", "Stars", "Date"],
        ["overall", "reviewerID", "asin", "unixReviewTime"],
    ],
)
def test_usual_names_are_guessed(present: list[str]) -> None:
    found = _assign(present)
    assert set(found) == {"user", "item", "time", "value"}
    assert {column.name for column in found.values()} == set(present)
    assert all(column.guessed for column in found.values())


def test_a_told_column_wins_and_is_nothing_else_besides() -> None:
    found = _assign(["user", "item", "product", "time"], item="user", user="item")
    assert found == {"user": Column("item", False), "item": Column("user", False), "time": Column("time", True)}


def test_the_better_of_two_usual_names_is_taken() -> None:
    names = ITEM_NAMES
    assert assign(FILE, ["name", "id", "title"], names, {}, {"item"}, {}) == {
        "item": Column("id", True), "title": Column("title", True),
    }  # fmt: skip


def test_none_is_no_column_whatever_the_names_are() -> None:
    assert "value" not in _assign(["user", "item", "time", "rating"], value=NONE)


def test_a_missing_column_is_said_with_those_that_are_there() -> None:
    with pytest.raises(SettingsError, match=r"log\.csv has no column 'sku' for --item; it has user, item, time\."):
        _assign(["user", "item", "time"], item="sku")
    with pytest.raises(SettingsError, match=r"no column that looks like item; name it with --item\. It has user, what"):
        _assign(["user", "what", "time"])
