"""What may be said of a recommended item, and nothing else: its title, year and genres, and why the ranker chose it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.titles import spoken, without_year


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one item."""

    item_id: str
    rank: int
    title: str
    """As people say it."""
    year: int | None = None
    genres: tuple[str, ...] = ()
    cause: str = ""
    """Title of what the user watched that spoke most for it; empty when nothing did."""
    reasons: tuple[str, ...] = ()
    """Clauses that finish "It …" or "Picked because …", the strongest first."""

    @property
    def said(self) -> str:
        """Every word that may be used with a capital or as a number."""
        year = "" if self.year is None else str(self.year)
        return " ".join((self.title, self.cause, year, *self.genres, *self.reasons))


def said_title(title: str) -> str:
    """A catalogue's title as a sentence has it: "Matrix, The (1999)" is The Matrix."""
    return spoken(without_year(title))


def facts_of(card: Mapping[str, object], reasons: tuple[str, ...], cause: str) -> Facts:
    """The facts of a card of the answer; `cause` is the title of an item of the user's history."""
    year, genres = card["year"], card["genres"]
    assert isinstance(genres, list | tuple)
    return Facts(
        item_id=str(card["item_id"]),
        rank=int(str(card["rank"])),
        title=said_title(str(card["title"])),
        year=year if isinstance(year, int) else None,
        genres=tuple(str(genre) for genre in genres),
        cause=said_title(cause),
        reasons=reasons,
    )
