"""MovieLens as three frames, whichever layout the files have."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from services.runtime.errors import SettingsError
from services.trainer.data.sources import SOURCES, Source, has_originals

AGES_1M = {"1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56+"}
"""Age codes of MovieLens-1M."""

GAPS_1M = frozenset(
    (91, 221, 323, 622, 646, 677, 686, 689, 740, 817, 883, 995, 1048, 1072, 1074, 1182, 1195, 1229, 1239, 1338, 1402,
     1403, 1418, 1435, 1451, 1452, 1469, 1478, 1481, 1491, 1492, 1505, 1506, 1512, 1521, 1530, 1536, 1540, 1560, 1576,
     1607, 1618, 1634, 1637, 1638, 1691, 1700, 1712, 1736, 1737, 1745, 1751, 1761, 1763, 1766, 1775, 1778, 1786, 1790,
     1800, 1802, 1803, 1808, 1813, 1818, 1823, 1828, 1838, 3815)
)  # fmt: skip
"""Movie ids that movies.dat leaves out; the wheel has the movies in file order but names them by title."""

GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""Genre flags of u.item, in column order."""


@dataclass(frozen=True, slots=True)
class MovieLens:
    """The data set as columns."""

    users: pl.DataFrame
    """user_id UInt64, gender, age, occupation, region: strings."""
    items: pl.DataFrame
    """item_id UInt64, title, year Int32, genres List[str]; creators List[str] where there are any."""
    ratings: pl.DataFrame
    """user_id, item_id UInt64, value Float32, ts Int64 seconds, in file order."""


def read_movielens(name: str, folder: Path) -> MovieLens:
    """The frames of the files in `folder`. Raises SettingsError when their row counts are not those published."""
    source = SOURCES[name]
    if has_originals(source, folder):
        data = _originals_1m(folder) if name == "ml-1m" else _originals_100k(folder)
    else:
        data = _wheel_1m(folder) if name == "ml-1m" else _wheel_100k(folder)
    _check_counts(name, source, data)
    return data


def _check_counts(name: str, source: Source, data: MovieLens) -> None:
    found = (data.users.height, data.items.height, data.ratings.height)
    expected = (source.users, source.items, source.ratings)
    if found != expected:
        raise SettingsError(
            f"The files of {name} hold {found[0]} users, {found[1]} items and {found[2]} ratings, "
            f"not {expected[0]}, {expected[1]} and {expected[2]}. They are not the published data set."
        )


def _wheel_1m(folder: Path) -> MovieLens:
    listed = _table(folder / "ml-1m.item", ["name", "title", "year", "genres"])
    numbers = [number for number in range(1, 3953) if number not in GAPS_1M]
    items = listed.with_columns(item_id=pl.Series(numbers, dtype=pl.UInt64))
    ratings = _table(folder / "ml-1m.inter", ["user", "name", "value", "ts"]).join(
        items.select("name", "item_id"), on="name", how="left", maintain_order="left"
    )
    users = _table(folder / "ml-1m.user", ["user", "age", "gender", "occupation", "zip"])
    user_id = pl.col("user").str.strip_prefix("1m_").alias("user_id")
    return MovieLens(
        _users(users.with_columns(user_id, pl.col("age").replace_strict(AGES_1M))),
        _items(items.with_columns(pl.col("genres").str.split(" "))),
        _ratings(ratings.with_columns(user_id)),
    )


def _wheel_100k(folder: Path) -> MovieLens:
    items = _table(folder / "ml-100k.item", ["item_id", "title", "year", "genres"])
    return MovieLens(
        _users(_decades(_table(folder / "ml-100k.user", ["user_id", "age", "gender", "occupation", "zip"]))),
        _items(items.with_columns(pl.col("genres").fill_null("unknown").str.split(" "))),
        _ratings(_table(folder / "ml-100k.inter", ["user_id", "item_id", "value", "ts"])),
    )


def _originals_1m(folder: Path) -> MovieLens:
    users = _table(folder / "users.dat", ["user_id", "gender", "age", "occupation", "zip"], "::")
    items = _table(folder / "movies.dat", ["item_id", "name", "genres"], "::")
    return MovieLens(
        _users(users.with_columns(pl.col("age").replace_strict(AGES_1M))),
        _items(_named(items).with_columns(pl.col("genres").str.split("|"))),
        _ratings(_table(folder / "ratings.dat", ["user_id", "item_id", "value", "ts"], "::")),
    )


def _originals_100k(folder: Path) -> MovieLens:
    flags = [f"genre_{place}" for place in range(len(GENRES_100K))]
    items = _table(folder / "u.item", ["item_id", "name", "release", "video", "url", *flags], "|")
    genres = [pl.when(pl.col(flag) == "1").then(pl.lit(name)) for flag, name in zip(flags, GENRES_100K, strict=True)]
    return MovieLens(
        _users(_decades(_table(folder / "u.user", ["user_id", "age", "gender", "occupation", "zip"], "|"))),
        _items(_named(items).with_columns(genres=pl.concat_list(genres).list.drop_nulls())),
        _ratings(_table(folder / "u.data", ["user_id", "item_id", "value", "ts"])),
    )


def _table(path: Path, columns: list[str], separator: str = "\t") -> pl.DataFrame:
    """Every column as text. The wheel's files are UTF-8 with a header, GroupLens' are Latin-1 without one."""
    original = path.suffix == ".dat" or path.name.startswith("u.")
    try:
        text = path.read_text(encoding="latin-1" if original else "utf-8").replace(separator, "\t")
        return pl.read_csv(
            io.StringIO(text), separator="\t", has_header=not original, quote_char=None, infer_schema=False,
            new_columns=columns,
        )  # fmt: skip
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _named(items: pl.DataFrame) -> pl.DataFrame:
    """title and year from a name such as "Toy Story (1995)"."""
    name = pl.col("name")
    return items.with_columns(
        title=name.str.extract(r"^(.*?)\s*(?:\(\d{4}\))?\s*$"), year=name.str.extract(r"\((\d{4})\)\s*$")
    )


def _decades(users: pl.DataFrame) -> pl.DataFrame:
    decade = pl.col("age").cast(pl.Int32) // 10 * 10
    return users.with_columns(age=pl.concat_str(decade.cast(pl.String), pl.lit("s")))


def _users(users: pl.DataFrame) -> pl.DataFrame:
    return users.select(
        pl.col("user_id").cast(pl.UInt64), "gender", "age", "occupation", region=pl.col("zip").str.slice(0, 1)
    )


def _items(items: pl.DataFrame) -> pl.DataFrame:
    year = pl.col("year").cast(pl.Float32, strict=False).cast(pl.Int32, strict=False)
    return items.select(pl.col("item_id").cast(pl.UInt64), pl.col("title").fill_null(""), year, "genres")


def _ratings(ratings: pl.DataFrame) -> pl.DataFrame:
    return ratings.select(
        pl.col("user_id").cast(pl.UInt64),
        pl.col("item_id").cast(pl.UInt64),
        pl.col("value").cast(pl.Float32),
        pl.col("ts").cast(pl.Float64).cast(pl.Int64),
    )
