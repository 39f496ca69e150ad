"""What may be said of a recommended item, and nothing else: its title, year and genres, and why the ranker chose it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_YEAR_BEHIND = re.compile(r"\s*\((\d{4})\)\s*$")
_ARTICLE_BEHIND = re.compile(r"^(.*), (The|A|An|Le|La|Les|L'|Il|El|Der|Die|Das)$")


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


def spoken(title: str) -> str:
    """A catalogue's title as people say it: "Matrix, The (1999)" is The Matrix."""
    bare = _YEAR_BEHIND.sub("", title)
    moved = _ARTICLE_BEHIND.match(bare)
    if moved is None:
        return bare
    article = moved.group(2)
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{moved.group(1)}"


def facts_of(card: Mapping[str, object], reasons: tuple[str, ...], cause: str) -> Facts:
    """The facts of a card of the answer; `cause` is the title of an item of the user's history."""
    year, genres = card["year"], card["genres"]
    assert isinstance(genres, list | tuple)
    return Facts(
        item_id=str(card["item_id"]),
        rank=int(str(card["rank"])),
        title=spoken(str(card["title"])),
        year=year if isinstance(year, int) else None,
        genres=tuple(str(genre) for genre in genres),
        cause=spoken(cause),
        reasons=reasons,
    )
