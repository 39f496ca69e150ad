"""What the text index knows of an item: everything about it that can be said in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.items import ItemTable
from models.titles import spoken


@dataclass(frozen=True, slots=True)
class Document:
    """One item in words; two documents that are equal have the same place in the index."""

    id: int
    title: str
    """Of an item without one its id, so that it can be found at all."""
    year: int | None = None
    genres: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    description: str = ""

    @property
    def sentence(self) -> str:
        """What the sentence encoder reads."""
        made = f" by {', '.join(self.creators)}" if self.creators else ""
        when = f" ({self.year})" if self.year is not None else ""
        return f"{spoken(self.title)}{when}{made}. {', '.join(self.genres)}. {self.description}".strip(" .")

    @property
    def words(self) -> str:
        """What BM25 counts; the year as its digits."""
        year = "" if self.year is None else str(self.year)
        return " ".join((self.title, year, *self.genres, *self.creators, self.description))


def documents_of(items: ItemTable) -> list[Document]:
    """The documents of a catalog, in its order."""
    years = items.column("year")
    return [
        Document(
            id=int(number),
            title=items.titles[row] or items.item_ids[row],
            year=None if np.isnan(years[row]) else int(years[row]),
            genres=items.genres[row],
            creators=items.creators[row],
        )
        for row, number in enumerate(items.ids.tolist())
    ]
