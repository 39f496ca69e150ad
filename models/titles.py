"""Titles as catalogs spell them, and as people say them."""

from __future__ import annotations

import re

_YEAR_BEHIND = re.compile(r"\s*\((\d{4})\)\s*$")
_ARTICLE_BEHIND = re.compile(r"^(?P<title>.+), (?P<article>The|A|An|Les?|La|L'|Das|Der|Die|El|Il)(?!\w)(?P<rest>.*)$")


def without_year(title: str) -> str:
    """A title without the year in parentheses behind it."""
    return _YEAR_BEHIND.sub("", title)


def spoken(title: str) -> str:
    """A title as people say it: "Matrix, The" is The Matrix."""
    moved = _ARTICLE_BEHIND.match(title)
    if moved is None:
        return title
    article = moved["article"]
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{moved['title']}{moved['rest']}"
