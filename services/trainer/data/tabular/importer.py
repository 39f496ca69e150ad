"""Files into a lake: columns found, rows checked, ids hashed, ties spread, tables written whole or not at all.

Nobody's rows are trusted. A row that cannot be read is counted, written down with its line and its reason, and left
out; a file with too many of them is refused.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from models.artifact import writing
from services.runtime.errors import SettingsError
from services.trainer.data.lake import EVENTS, SNAPSHOT, Snapshot, read_snapshot
from services.trainer.data.tabular.attributes import NO_ITEMS, NO_USERS, Attributes, read_items, read_users
from services.trainer.data.tabular.columns import columns_of, content_hash
from services.trainer.data.tabular.events import EventDraft
from services.trainer.data.tabular.reader import InteractionReader
from services.trainer.data.tabular.rejects import Rejects
from services.trainer.data.tabular.request import ImportRequest
from services.trainer.data.tabular.roles import Column
from services.trainer.data.tabular.table_files import TableFile, open_table

Columns = Mapping[str, Column]


@dataclass(slots=True)
class Imported:
    """What came of it."""

    snapshot: Snapshot
    columns: Mapping[Path, Columns]
    """File -> role -> column."""
    rejects_file: Path
    """Where rejected rows are listed, when there are any."""
    rejects: Rejects = field(default_factory=Rejects)
    reading: Mapping[str, str] = field(default_factory=dict)
    """Role -> how its column was read."""
    notes: list[str] = field(default_factory=list)
    """What else a person should know."""


def import_files(request: ImportRequest, data_dir: Path, now: datetime | None = None) -> Imported:
    """Fills data_dir/lake. A lake that holds the same files, read in the same way, is left as it is.

    SettingsError when a file or a column is missing, when too little of a file can be read, when nobody can know what
    its values mean, or when the lake holds something else.
    """
    dataset, now = request.dataset, now or datetime.now(UTC)
    lake, listed = data_dir / "lake", data_dir / "imports" / f"{dataset}.rejects.csv"
    tables = {path: open_table(path, request.delimiter, request.header, whole=path != request.interactions)
              for path in (request.interactions, request.items, request.users) if path is not None}  # fmt: skip
    columns = columns_of(request, {path: table.columns for path, table in tables.items()})
    content = content_hash(request, columns)
    if (present := _present(lake, dataset, content)) is not None:
        return Imported(present, columns, listed, notes=[f"{lake} holds it already and was left as it is"])
    data_dir.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=data_dir, prefix=".import-") as scratch,
        closing(EventDraft(Path(scratch))) as draft,
    ):
        rejects = Rejects()
        reader = InteractionReader.of(request, columns[request.interactions], rejects, now)
        for block in tables[request.interactions].blocks(reader.names, rejects):
            draft.add(reader.read(block))
        rejects.require_few(request.interactions, draft.rows, request.max_malformed, listed)
        reader.require_understood()
        known, notes = _attributes(request, tables, columns, rejects, listed)
        newest = draft.place()
        if draft.kept < draft.rows:
            notes.append(f"{draft.rows - draft.kept:,} duplicates: the same user, item and time")
        # Whole seconds, and the newest event not after now: what serves believes nothing of the future.
        shift_s = int((now.timestamp() * 1_000_000 - newest) // 1_000_000)
        notes += _strangers(request, known, draft)
        users, items = _users(known["user"], draft), _items(known["item"], draft, shift_s)
        snapshot = Snapshot(dataset, content, shift_s, len(users), len(items), draft.kept)
        with writing(lake) as folder:
            users.write_parquet(folder / "users.parquet")
            items.write_parquet(folder / "items.parquet")
            (folder / EVENTS).mkdir()
            draft.write(folder / EVENTS / f"{dataset}.parquet", dataset, shift_s * 1_000_000)
            (folder / SNAPSHOT).write_text(json.dumps(asdict(snapshot), indent=2))
    rejects.write(listed)
    return Imported(snapshot, columns, listed, rejects, reader.reading, notes)


def _present(lake: Path, dataset: str, content: str) -> Snapshot | None:
    """What the lake was filled with, when that is the same; SettingsError when it is not."""
    if not (lake / SNAPSHOT).is_file():
        return None
    present = read_snapshot(lake)
    if (present.dataset, present.content_hash) == (dataset, content):
        return present
    what = f"{present.dataset}, not {dataset}" if present.dataset != dataset else f"another {dataset}"
    raise SettingsError(f"{lake} holds {what}. Name another data folder with --data-dir, or remove it.")


def _attributes(
    request: ImportRequest,
    tables: Mapping[Path, TableFile],
    columns: Mapping[Path, Columns],
    rejects: Rejects,
    listed: Path,
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """What the files of items and users tell, by kind, and what a person should know of it."""
    known, notes = {"item": NO_ITEMS, "user": NO_USERS}, list[str]()
    for kind, path, read in (("item", request.items, read_items), ("user", request.users, read_users)):
        if path is not None:
            found: Attributes = read(path, tables[path], columns[path], rejects)
            rejects.require_few(path, found.rows, request.max_malformed, listed)
            known[kind] = found.frame
            notes += [f"{path.name}: {n:,} of the rarest {name} left out" for name, n in found.dropped.items() if n]
            if found.repeated:
                notes.append(f"{path.name}: {found.repeated:,} rows of an id that came again; the last one counts")
    return known, notes


def _strangers(request: ImportRequest, known: Mapping[str, pl.DataFrame], draft: EventDraft) -> list[str]:
    """Where the files and the events do not name the same."""
    notes = []
    for kind, path in (("item", request.items), ("user", request.users)):
        if path is None:
            continue
        active, listed = draft.entities(kind)[f"{kind}_id"], known[kind][f"{kind}_id"]
        if missing := len(active) - int(active.is_in(listed.implode()).sum()):
            notes.append(f"{missing:,} {kind}s have events and no row in {path.name}: only their ids are known")
        if idle := len(listed) - int(listed.is_in(active.implode()).sum()):
            notes.append(f"{idle:,} {kind}s of {path.name} have no events")
    return notes


def _items(known: pl.DataFrame, draft: EventDraft, shift_s: int) -> pl.DataFrame:
    """The catalog: what the file has, then what only events name. Created at the first event, or the first of all."""
    active = draft.entities("item")
    strangers = active.join(known, on="item_id", how="anti", maintain_order="left").select("item_id", "external_id")
    first = pl.col("first_us").fill_null(pl.lit(active["first_us"].min())) + shift_s * 1_000_000
    return (
        pl.concat([known, strangers], how="diagonal")
        .with_columns(pl.col("title").fill_null(""), pl.col("genres", "creators").fill_null([]))
        .join(active.select("item_id", "first_us"), on="item_id", how="left", maintain_order="left")
        .with_columns(created_at=pl.from_epoch(first, "us").dt.replace_time_zone("UTC"))
        .drop("first_us")
    )


def _users(known: pl.DataFrame, draft: EventDraft) -> pl.DataFrame:
    """Those of the file, then those that only have events."""
    active = draft.entities("user").select("user_id", "external_id")
    return pl.concat([known, active.join(known, on="user_id", how="anti", maintain_order="left")], how="diagonal")
