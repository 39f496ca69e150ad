"""The lake: users, items and events as Parquet, whatever they came from. Written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from models.artifact import writing
from services.runtime.errors import NotFound, SettingsError
from services.trainer.data.movielens import MovieLens, read_movielens
from services.trainer.data.sources import fetch

SNAPSHOT = "snapshot.json"
EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was imported."""

    dataset: str
    content_hash: str
    """SHA-256 over users, items and events as they were before the shift: the same data, the same hash."""
    shift_seconds: int
    """Added to every time so that the newest event falls on the moment of the import."""
    users: int
    items: int
    events: int


def read_snapshot(lake: Path) -> Snapshot:
    """What the lake was filled with; NotFound when it was not."""
    try:
        return Snapshot(**json.loads((lake / SNAPSHOT).read_text()))
    except FileNotFoundError as error:
        raise NotFound(f"{lake} holds no data yet. Import some with: python -m services.trainer fetch") from error
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{lake / SNAPSHOT} is damaged: {error}. Remove {lake} and import again.") from error


def import_movielens(name: str, raw: Path, lake: Path, now: datetime | None = None) -> Snapshot:
    """Fetches and verifies MovieLens and fills the lake with it; a filled lake is left as it is."""
    if (lake / SNAPSHOT).is_file():
        present = read_snapshot(lake)
        if present.dataset != name:
            raise SettingsError(f"{lake} holds {present.dataset}, not {name}. Remove it, or name another data folder.")
        return present
    data = read_movielens(name, fetch(name, raw))
    return fill(lake, name, data, now or datetime.now(UTC))


def fill(lake: Path, dataset: str, data: MovieLens, now: datetime) -> Snapshot:
    """Writes the three tables. `data.ratings` become watch events with the rating as value."""
    newest = data.ratings["ts"].max()
    if not isinstance(newest, int):
        raise SettingsError(f"{dataset} has no ratings: there is nothing to import.")
    shift = int(now.timestamp()) - newest
    events = _events(data.ratings, shift, dataset)
    items = _with_creation(data.items, events)
    snapshot = Snapshot(dataset, _content_hash(data), shift, data.users.height, data.items.height, data.ratings.height)
    with writing(lake) as draft:
        _external(data.users, "user_id").write_parquet(draft / "users.parquet")
        _external(items, "item_id").write_parquet(draft / "items.parquet")
        (draft / EVENTS).mkdir()
        events.write_parquet(draft / EVENTS / f"{dataset}.parquet")
        (draft / SNAPSHOT).write_text(json.dumps(asdict(snapshot), indent=2))
    return snapshot


def _events(ratings: pl.DataFrame, shift: int, source: str) -> pl.DataFrame:
    """Events of a user keep the stable order of (time, file order): ties are spread over milliseconds, which online
    histories tell apart."""
    rows = ratings.with_row_index("row").with_columns(tie=pl.int_range(pl.len()).over("user_id", "ts", order_by="row"))
    text = pl.lit(None, dtype=pl.String)
    return rows.select(
        event_id=pl.format("{}-{}", pl.lit(source), pl.col("row")),
        type=pl.lit("watch"),
        user_id="user_id",
        item_id="item_id",
        ts=pl.from_epoch((pl.col("ts") + shift) * 1_000_000 + pl.col("tie") * 1000, "us").dt.replace_time_zone("UTC"),
        value="value",
        session_id=text,
        recommendation_id=text,
        position=pl.lit(None, dtype=pl.Int32),
        source=pl.lit(source),
    ).sort("ts", "user_id", maintain_order=True)


def _with_creation(items: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Items with created_at: their first event, or the first of all for those without any."""
    first = events.group_by("item_id").agg(created_at=pl.col("ts").min())
    creators = pl.col("creators") if "creators" in items.columns else pl.lit([], dtype=pl.List(pl.String))
    return items.join(first, on="item_id", how="left", maintain_order="left").with_columns(
        pl.col("created_at").fill_null(events["ts"].min()), creators=creators
    )


def _external(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    return frame.with_columns(external_id=pl.col(key).cast(pl.String))


def _content_hash(data: MovieLens) -> str:
    digest = hashlib.sha256()
    for frame in (
        data.users,
        data.items.select("item_id", "title", "year", pl.col("genres").list.join("|")),
        data.ratings,
    ):
        digest.update(frame.write_csv().encode())
    return digest.hexdigest()


def read_events(lake: Path) -> pl.DataFrame:
    """Every event of the lake, imported and live, once, oldest first; events of one moment stay in file order."""
    files = sorted((lake / EVENTS).rglob("*.parquet"))
    if not files:
        raise NotFound(f"{lake} holds no events. Import some with: python -m services.trainer fetch")
    events = pl.read_parquet(files, missing_columns="insert")
    return events.unique("event_id", keep="first", maintain_order=True).sort("ts", maintain_order=True)
