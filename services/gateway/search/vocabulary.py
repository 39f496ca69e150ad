"""The words a catalog is described in: its genres, titles and people, indexed for the parser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.gateway.search.lexicon import Sayings, sayings_for
from services.gateway.search.typos import Spellings
from services.gateway.search.words import phrase

MOST_WORDS = 12
"""Words of a title that are compared."""

_IN_PARENTHESES = re.compile(r"\(([^()]*)\)")
_ALSO_KNOWN = re.compile(r"^(?:a\.?k\.?a\.?|also known as)\s*", re.IGNORECASE)
_MOVED_ARTICLE = re.compile(r"^(.+), (the|an?|les?|la|l'|das|der|die|el|il)\s*$", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:the|an?)\s+", re.IGNORECASE)
_SUBTITLE = re.compile(r":\s| - ")


@dataclass(frozen=True, slots=True)
class Title:
    """An item by name."""

    id: int
    title: str
    year: int | None = None


class Vocabulary:
    """Built once for a catalog; reading it is safe from any thread."""

    def __init__(
        self, genres: Iterable[str], titles: Iterable[Title], people: Iterable[str] = (), this_year: int | None = None
    ) -> None:
        self.genres = tuple(sorted(set(genres)))
        """In the catalog's spelling."""
        self._titles: dict[str, list[Title]] = {}
        self._short: dict[str, list[Title]] = {}
        years: list[int] = []
        for title in titles:
            if title.year is not None:
                years.append(title.year)
            for form in forms_of(title.title):
                self._titles.setdefault(form, []).append(title)
            if (short := _before_subtitle(title.title)) is not None:
                self._short.setdefault(short, []).append(title)
        self._spellings = Spellings([*self._titles, *self._short])
        self.first_year: int | None = min(years, default=None)
        """The oldest year of the catalog."""
        self.last_year: int | None = max(years, default=None)
        """The newest year of the catalog."""
        self.this_year = this_year or self.last_year or 2000
        """What "this year" means."""
        self.people = {phrase(name): name for name in people if len(phrase(name)) > 1}
        """Full names as they are compared, and as the catalog spells them."""
        self.sayings: Sayings = sayings_for(self.genres)
        """How people say the genres."""

    def titled(self, words: Sequence[str], *, with_typo: bool = False) -> list[Title]:
        """The items whose title these words are; of a series the first part, when only its common name is said."""
        form = " ".join(words)
        if with_typo:
            near = self._spellings.near(form)
            return [] if near is None else self._named(near)
        return self._named(form)

    def _named(self, form: str) -> list[Title]:
        if form in self._titles:
            return self._titles[form]
        series = self._short.get(form, [])
        return [min(series, key=lambda title: (title.year or 9999, title.id))] if series else []


def forms_of(title: str) -> list[str]:
    """The ways a title may be written: with its article in front, without it, and each name in parentheses."""
    inside = [name for name in _IN_PARENTHESES.findall(title) if not name.isdigit()]
    forms: dict[str, None] = {}
    for name in (_IN_PARENTHESES.sub("", title), *inside):
        plain = _ALSO_KNOWN.sub("", name.strip()).strip()
        moved = _MOVED_ARTICLE.match(plain)
        whole = f"{moved[2]} {moved[1]}" if moved else plain
        bare = moved[1] if moved else _ARTICLE.sub("", plain)
        forms |= dict.fromkeys(" ".join(phrase(text)[:MOST_WORDS]) for text in (whole, bare))
    return [form for form in forms if form]


def _before_subtitle(title: str) -> str | None:
    parts = _SUBTITLE.split(_IN_PARENTHESES.sub("", title), maxsplit=1)
    short = " ".join(phrase(parts[0])) if len(parts) > 1 else ""
    return short if len(short) > 3 else None
