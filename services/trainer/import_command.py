"""python -m services.trainer import: the options of an import, as a person writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from services.runtime.errors import SettingsError
from services.trainer.data.tabular.request import ImportRequest, TimeUnit
from services.trainer.data.tabular.scale import Scale

Told = Annotated[str, typer.Option(metavar="COLUMN", help="Column of the interactions; guessed by its name if empty.")]


def import_command(
    interactions: Annotated[Path, typer.Argument(help="CSV or Parquet: a row per interaction.")],
    items: Annotated[Path | None, typer.Option(help="CSV or Parquet: a row per item.")] = None,
    users: Annotated[Path | None, typer.Option(help="CSV or Parquet: a row per user.")] = None,
    name: Annotated[str, typer.Option(help="Of the data set; that of the file when empty.")] = "",
    user: Told = "",
    item: Told = "",
    time: Told = "",
    value: Annotated[
        str, typer.Option(metavar="COLUMN", help="What the user thought, or how much; none leaves values out.")
    ] = "",
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE.ROLE=COLUMN", help="Of --items or --users, like items.title=name. Repeatable."),
    ] = None,
    scale: Annotated[str, typer.Option(metavar="LOW..HIGH", help="Values are ratings from LOW to HIGH.")] = "",
    liked: Annotated[float | None, typer.Option(help="From this value on the user liked it; alone, of counts.")] = None,
    time_unit: Annotated[TimeUnit, typer.Option(help="How times are written.")] = "auto",
    delimiter: Annotated[str, typer.Option(help="Between fields of CSV; guessed when empty.")] = "",
    header: Annotated[bool, typer.Option(help="Without one, columns are called 1, 2, ...")] = True,
    max_malformed: Annotated[float, typer.Option(min=0, max=1, help="Share of rows that may be rejected.")] = 0.05,
    data_dir: Annotated[
        Path, typer.Option(envvar="CASCADE_DATA_DIR", help="Folder for everything kept on disk.")
    ] = Path(".data"),
) -> None:
    """Fill the lake with any data set: who turned to what and when, and what is known of items and users."""
    from services.trainer.data.tabular.importer import import_files
    from services.trainer.data.tabular.show import show_import
    from services.trainer.progress import Steps

    told = {"user": user, "item": item, "time": time, "value": value}
    attributes = told_attributes(column or [])
    request = ImportRequest(
        interactions,
        items,
        users,
        name,
        {role: column for role, column in told.items() if column},
        attributes["items"],
        attributes["users"],
        Scale.of(scale, liked),
        time_unit,
        {r"\t": "\t"}.get(delimiter, delimiter),
        header,
        max_malformed,
    )
    steps = Steps()
    with steps.step(f"data: {interactions.name}, read and checked"):
        imported = import_files(request, data_dir)
    show_import(steps.console, imported)
    found = imported.snapshot
    steps.console.print(
        f"{found.dataset}: {found.users:,} users, {found.items:,} items, {found.events:,} events "
        f"(content {found.content_hash[:12]}). Next: python -m services.trainer train"
    )


def told_attributes(columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """File -> role -> column, from ["items.title=name", ...]. SettingsError for what is not written like that."""
    roles = {"items": ("item", "title", "genres", "creators", "year"),
             "users": ("user", "gender", "age", "occupation", "region")}  # fmt: skip
    found: dict[str, dict[str, str]] = {file: {} for file in roles}
    for written in columns:
        place, _, name = written.partition("=")
        file, _, role = place.partition(".")
        if role not in roles.get(file, ()) or not name:
            known = ", ".join(f"{file}.{role}" for file, names in roles.items() for role in names)
            raise SettingsError(
                f"--column {written!r} is not like items.title=name; there are {known}.", field="column"
            )
        found[file][role] = name
    return found
