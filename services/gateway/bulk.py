"""Many items at once, one JSON object a line: each checked by itself, the good ones kept by the event log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import ValidationError

from services.gateway.catalog import Catalog, Item
from services.gateway.problems import field_errors
from services.gateway.publisher import CatalogPublisher
from services.gateway.schemas import DeletionLine, ItemBody, ItemLine
from services.runtime.errors import TooLarge
from services.runtime.ids import to_int

MAX_LINES = 10_000
BATCH = 500
"""Changes acknowledged together; between batches others have their turn."""
LONGEST_ID = 256
"""Characters of a refused line's id that are told."""


@dataclass(slots=True)
class Outcome:
    """What became of the lines."""

    accepted: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """{line, item_id when there is one, code, field, message} of each refused line; the first line is 1."""


class BulkItems:
    """Takes bodies of lines. A line counts as accepted once the event log keeps it."""

    def __init__(self, catalog: Catalog, publisher: CatalogPublisher) -> None:
        self._catalog, self._publisher = catalog, publisher

    async def take(self, body: bytes) -> Outcome:
        """Applies the good lines in their order, in batches; empty lines do not count.

        TooLarge, and nothing applied, for more than MAX_LINES. Unavailable when the event log cannot keep a batch:
        those before it are kept.
        """
        lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
        if len(lines) > MAX_LINES:
            raise TooLarge(f"A body may have {MAX_LINES} lines at most, not {len(lines)}.", field="body")
        outcome = Outcome()
        for start in range(0, len(lines), BATCH):
            changes = list(self._read(lines[start : start + BATCH], outcome))
            if changes:
                await self._publisher.apply(changes)
                outcome.accepted += len(changes)
            await asyncio.sleep(0)
        return outcome

    def _read(self, lines: list[tuple[int, bytes]], outcome: Outcome) -> Iterator[Item | int]:
        for number, line in lines:
            sent: Any = None
            try:
                sent = orjson.loads(line)
                yield self._change(sent)
            except orjson.JSONDecodeError as error:
                message = f"The line is not JSON in UTF-8 ({error.msg})."
                outcome.rejected.append({"line": number, "code": "json_invalid", "field": "line", "message": message})
            except ValidationError as error:
                outcome.rejected.append({"line": number} | _id_of(sent) | _refusal(error))

    def _change(self, sent: Any) -> Item | int:
        if isinstance(sent, dict) and "delete" in sent:
            return to_int(DeletionLine.model_validate(sent).item_id)
        line = ItemLine.model_validate(sent)
        return item_of(line.item_id, line, self._catalog)


def item_of(item_id: str, body: ItemBody, catalog: Catalog) -> Item:
    """The item that a body puts; one that was there keeps its age unless the body says otherwise."""
    old = catalog.item(to_int(item_id))
    return Item(
        item_id=item_id,
        title=body.title,
        year=body.year,
        genres=tuple(body.genres),
        creators=tuple(body.creators),
        created_at=body.created_at or (old.created_at if old else None),
    )


def _id_of(sent: Any) -> dict[str, str]:
    given = sent.get("item_id") if isinstance(sent, dict) else None
    known = isinstance(given, str | int) and not isinstance(given, bool)
    return {"item_id": str(given)[:LONGEST_ID]} if known else {}


def _refusal(error: ValidationError) -> dict[str, Any]:
    first = error.errors(include_url=False, include_input=False)[0]
    told = field_errors([first])[0]
    name = told["field"] or "line"
    message = told["message"] if told["field"] else "must be a JSON object"
    return {"code": first["type"], "field": name, "message": f"{name}: {message}."}
