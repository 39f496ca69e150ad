"""An import as a person sees it: which columns were taken, which of them were guessed, and what was left out."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.trainer.data.tabular.importer import Imported
from services.trainer.data.tabular.rejects import Rejects

SHOWN = 5
"""Rejected rows shown; the file has the others."""


def show_import(console: Console, imported: Imported) -> None:
    """Columns, notes and the first rejected rows."""
    console.print(_columns(imported))
    for note in imported.notes:
        console.print(f"  {escape(note)}", soft_wrap=True, highlight=False)
    if imported.rejects.total:
        console.print(_rejects(imported.rejects))
        where = f"{imported.rejects.total:,} rows rejected; the list: {imported.rejects_file}"
        console.print(escape(where), soft_wrap=True, highlight=False)


def _columns(imported: Imported) -> Table:
    table = Table(title="Columns", title_justify="left")
    for heading in ("file", "is", "column", "", "read as"):
        table.add_column(heading)
    for file, roles in imported.columns.items():
        for role, column in roles.items():
            how = "[yellow]guessed[/]" if column.guessed else "told"
            table.add_row(escape(file.name), role, escape(column.name), how, imported.reading.get(role, ""))
    if not any("value" in roles for roles in imported.columns.values()):
        table.add_row("", "value", "", "", "none: a row says only that the user turned to the item")
    return table


def _rejects(rejects: Rejects) -> Table:
    table = Table(title=f"Rejected rows, the first {SHOWN}", title_justify="left")
    for heading in ("file", "line", "reason"):
        table.add_column(heading)
    for reject in rejects.kept[:SHOWN]:
        table.add_row(escape(reject.file), f"{reject.line}", reject.reason)
    return table
