"""Which column plays which part: as it is told, else by the names that such columns usually have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from services.runtime.errors import SettingsError

Names = Mapping[str, Sequence[str]]
"""Role -> usual names of its column, best first, as `folded` writes them."""

NONE = "none"
"""Told instead of a column: there is none, whatever the names look like."""

INTERACTION_NAMES: Names = {
    "user": ("userid", "user", "uid", "customerid", "customer", "visitorid", "memberid", "accountid", "reviewerid",
             "clientid", "profileid", "personid", "username"),
    "item": ("itemid", "item", "iid", "sku", "productid", "product", "asin", "parentasin", "movieid", "movie", "bookid",
             "isbn", "trackid", "songid", "artistid", "articleid", "newsid", "videoid", "contentid", "gameid"),
    "time": ("timestamp", "time", "ts", "datetime", "date", "eventtime", "unixreviewtime", "reviewtime", "createdat",
             "occurredat", "at", "when"),
    "value": ("rating", "ratings", "stars", "score", "overall"),
}  # fmt: skip
ITEM_NAMES: Names = {
    "item": (*INTERACTION_NAMES["item"], "id"),
    "title": ("title", "name", "itemname", "productname", "producttitle", "movietitle", "booktitle", "trackname"),
    "genres": ("genres", "genre", "categories", "category", "tags", "maincategory", "class"),
    "creators": ("creators", "creator", "artists", "artist", "authors", "author", "directors", "director", "brand",
                 "publisher"),
    "year": ("year", "releaseyear", "publicationyear", "yearofpublication", "releasedate", "published"),
}  # fmt: skip
USER_NAMES: Names = {
    "user": (*INTERACTION_NAMES["user"], "id"),
    "gender": ("gender", "sex"),
    "age": ("age", "agegroup", "agerange"),
    "occupation": ("occupation", "job", "profession", "segment"),
    "region": ("region", "country", "state", "city", "location", "zip", "zipcode", "postcode"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column in its part."""

    name: str
    guessed: bool
    """False when it was told."""


def assign(
    file: Path,
    present: Sequence[str],
    names: Names,
    told: Mapping[str, str],
    required: Set[str],
    options: Mapping[str, str],
) -> dict[str, Column]:
    """The column of each role that has one. `told` wins over guesses; `options` are the roles' names for a person.

    SettingsError when a told column is not there, or a required role has no column.
    """
    columns = ", ".join(present)
    found: dict[str, Column] = {}
    for role, name in told.items():
        if name not in (*present, NONE):
            raise SettingsError(f"{file} has no column {name!r} for {options[role]}; it has {columns}.", field=role)
        if name != NONE:
            found[role] = Column(name, guessed=False)
    for role, usual in names.items():
        taken = {column.name for column in found.values()}
        free = {folded(name): name for name in reversed(present) if name not in taken}
        guess = next((free[name] for name in usual if name in free), None)
        if role not in told and guess is not None:
            found[role] = Column(guess, guessed=True)
    for role in names:
        if role in required and role not in found:
            raise SettingsError(
                f"{file} has no column that looks like {role}; name it with {options[role]}. It has {columns}.",
                field=role,
            )
    return {role: found[role] for role in names if role in found}


def folded(name: str) -> str:
    """A column's name as guesses compare it: letters and digits in lower case, without a type behind a colon."""
    return re.sub(r"[\W_]", "", name.split(":", 1)[0].casefold())
