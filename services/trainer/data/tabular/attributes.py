"""What files tell of items and users, as the lake's columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from services.runtime.ids import to_int
from services.trainer.data.tabular.fields import CONTROL, MISSING, external_ids, texts
from services.trainer.data.tabular.rejects import Rejects
from services.trainer.data.tabular.roles import Column
from services.trainer.data.tabular.table_files import TableFile

LONGEST_TITLE, LONGEST_NAME = 512, 128
"""Characters of a title, and of a genre, a creator or an attribute of a user."""
MOST_NAMES = 16
"""Genres, and creators, of one item."""
MOST_GENRES = 256
"""Different genres; of more, the commonest stay. Every scorer keeps a column for each."""
MOST_CATEGORIES = {"gender": 16, "age": 32, "occupation": 256, "region": 256}
"""Different values of a user's attributes; of more, the commonest stay. Popularity is kept by gender and age."""
USER_ATTRIBUTES = tuple(MOST_CATEGORIES)
_BRACKETS = r"^\[(.*)\]$"

NO_ITEMS = pl.DataFrame(
    schema={"item_id": pl.UInt64, "external_id": pl.String, "title": pl.String, "year": pl.Int32,
            "genres": pl.List(pl.String), "creators": pl.List(pl.String)}
)  # fmt: skip
"""What is known of items without a file."""
NO_USERS = pl.DataFrame(
    schema={"user_id": pl.UInt64, "external_id": pl.String, **dict.fromkeys(USER_ATTRIBUTES, pl.String)}
)
"""What is known of users without a file."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """A file of items or users, read."""

    frame: pl.DataFrame
    """One row per id, in the schema of NO_ITEMS or NO_USERS."""
    rows: int
    """Accepted rows of the file."""
    repeated: int
    """Rows of an id that came again; the last one counts."""
    dropped: Mapping[str, int]
    """Column -> different values that were beyond its bound."""


def read_items(file: Path, table: TableFile, columns: Mapping[str, Column], rejects: Rejects) -> Attributes:
    """id, title, year, genres and creators, those of them that have a column."""
    rows = _read(file, table, columns, "item", rejects)
    frame = rows.select(
        *_identity("item", rows),
        _title(rows),
        _year(rows),
        _names(rows, "genres", "|;,"),
        # Not at commas: "Woolf, Virginia" is one author.
        _names(rows, "creators", "|;"),
    )
    own = frame.unique("item_id", keep="last", maintain_order=True)
    genres = own["genres"].explode(empty_as_null=False).drop_nulls()
    kept = _commonest(genres, MOST_GENRES)
    return Attributes(
        own.with_columns(pl.col("genres").list.filter(pl.element().is_in(kept.implode()))),
        len(frame),
        len(frame) - len(own),
        {"genres": genres.n_unique() - len(kept)},
    )


def read_users(file: Path, table: TableFile, columns: Mapping[str, Column], rejects: Rejects) -> Attributes:
    """id, gender, age, occupation and region, those of them that have a column. Ages in years become decades."""
    rows = _read(file, table, columns, "user", rejects)
    frame = rows.select(*_identity("user", rows), *(_category(rows, name) for name in USER_ATTRIBUTES))
    own = frame.unique("user_id", keep="last", maintain_order=True)
    dropped = {}
    for name, most in MOST_CATEGORIES.items():
        known = own[name].drop_nulls()
        kept = _commonest(known, most)
        dropped[name] = known.n_unique() - len(kept)
        own = own.with_columns(pl.when(pl.col(name).is_in(kept.implode())).then(name).alias(name))
    return Attributes(own, len(frame), len(frame) - len(own), dropped)


def _read(file: Path, table: TableFile, columns: Mapping[str, Column], noun: str, rejects: Rejects) -> pl.DataFrame:
    """The columns by role, without the rows whose id is none."""
    parts = []
    for block in table.blocks([column.name for column in columns.values()], rejects):
        frame = block.frame
        frame.columns = list(columns)
        checked = external_ids(frame[noun], noun)
        frame = frame.with_columns(checked.values.alias(noun), reason=checked.reasons, line=block.lines)
        for line, reason in frame.filter(pl.col("reason").is_not_null()).select("line", "reason").iter_rows():
            rejects.add(file, line, reason, "")
        parts.append(frame.filter(pl.col("reason").is_null()))
    empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.concat(parts, how="vertical_relaxed") if parts else empty


def _identity(role: str, rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    spelled = rows[role]
    numbers = pl.Series(f"{role}_id", [to_int(external) for external in spelled.to_list()], pl.UInt64)
    return numbers, spelled.alias("external_id")


def _known(rows: pl.DataFrame, name: str) -> pl.Series:
    """A column as text on one line, null where nothing stands; all null without the column."""
    if name not in rows.columns:
        return pl.Series(name, [None] * len(rows), pl.String)
    text = texts(rows[name]).str.replace_all(CONTROL, " ").str.replace_all(r"\s+", " ").str.strip_chars()
    return text.set(text.is_in(MISSING).fill_null(False), None).alias(name)


def _title(rows: pl.DataFrame) -> pl.Series:
    return _known(rows, "title").fill_null("").str.slice(0, LONGEST_TITLE)


def _year(rows: pl.DataFrame) -> pl.Series:
    """The first four digits in a row that are a year, of a number or a date."""
    year = _known(rows, "year").str.extract(r"(?:^|\D)(1\d{3}|20\d{2})(?:\D|$)").cast(pl.Int32, strict=False)
    return year.alias("year")


def _names(rows: pl.DataFrame, name: str, separators: str) -> pl.Series:
    """Lists, from lists or from text like "Drama|War", "Drama, War" or "['Drama', 'War']"."""
    if name in rows.columns and isinstance(rows[name].dtype, pl.List | pl.Array):
        lists = rows[name].cast(pl.List(pl.String))
    else:
        text = _known(rows, name)
        bracketed = text.str.contains(_BRACKETS).fill_null(False)
        bare = text.str.extract(_BRACKETS).str.replace_all(r"""['"]""", "")
        parted = next((mark for mark in separators if text.str.contains(mark, literal=True).any()), separators[0])
        lists = bare.str.split(",").zip_with(bracketed, text.str.split(parted))
    part = pl.element().str.replace_all(r"\||" + CONTROL, "/").str.strip_chars().str.slice(0, LONGEST_NAME)
    expression = pl.col(name).list.eval(part.filter(~part.is_in(MISSING))).list.unique(maintain_order=True)
    frame = pl.DataFrame({name: lists}).select(expression.list.head(MOST_NAMES).fill_null([]))
    return frame[name].cast(pl.List(pl.String))


def _category(rows: pl.DataFrame, name: str) -> pl.Series:
    text = _known(rows, name).str.slice(0, LONGEST_NAME)
    years = text.cast(pl.Float64, strict=False)
    if name != "age" or years.null_count() > text.null_count():
        return text
    return (years // 10 * 10).cast(pl.Int64).cast(pl.String) + "s"


def _commonest(values: pl.Series, most: int) -> pl.Series:
    """The `most` commonest values, ties by name."""
    counts = values.rename("value").value_counts().sort(["count", "value"], descending=[True, False])
    return counts["value"].head(most)
