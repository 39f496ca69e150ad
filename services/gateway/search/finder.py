"""A search from the sentence to the slate: parse, let a model read what is left, find, put in the ranker's order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable
from services.gateway.catalog import Catalog
from services.gateway.nouns import Arrange, Ask, Searched
from services.gateway.search.leftover import Ask as AskModel
from services.gateway.search.leftover import Completed, Leftover
from services.gateway.search.parser import parse
from services.gateway.search.query import Query
from services.gateway.search.vocabulary import Title, Vocabulary
from services.gateway.search.widening import Wider, widened

FOUND = 100
"""Items that fit a search without words: the ranker chooses among them."""
FOUND_BY_WORDS = 20
"""Items that fit the words, at least: further down they fit them less and less."""
DEFAULT_SHOWN = 10
READING, FINDING = "reading", "finding"
"""As the timings of an answer and of its trace call what comes before the list is put in order."""

Look = Callable[[Query, int], Awaitable[Searched]]
"""(query, n) -> what retrieval found"""
Rank = Callable[[Ask, Arrange], Awaitable[dict[str, Any]]]
"""A list in the ranker's order or another one, as an answer."""


class Known(Protocol):
    """What the catalog tells of items, as far as an order asks for it."""

    def kinds_of(self, ids: NDArray[np.uint64]) -> list[tuple[int | None, tuple[str, ...]]]:
        """(N,) year and genres of each item."""
        ...

    def statistics(self, number: int) -> dict[str, float]:
        """What the events say of an item."""
        ...


@dataclass(frozen=True, slots=True)
class _Reader:
    """What reads sentences about one version of the catalog."""

    titles: list[str]
    vocabulary: Vocabulary
    leftover: Leftover | None


class Finder:
    """Only retrieval must be there: the parser reads without a model, and the ranker's stage has its fallback."""

    def __init__(
        self, catalog: Catalog, look: Look, rank: Rank, ask_model: AskModel, model: str, model_s: float
    ) -> None:
        """`model_s`: how long the model may take; 0 never asks it."""
        self._catalog, self._look, self._rank = catalog, look, rank
        self._ask_model, self._model, self._model_s = ask_model, model, model_s
        self._reader: _Reader | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Reads the catalog's words, a tenth of a second for some thousand titles, in a thread."""
        self._reader = await asyncio.to_thread(self._reader_of, self._catalog.table)

    async def close(self) -> None:
        """Ends what goes on in the background."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        if self._reader is not None and self._reader.leftover is not None:
            await self._reader.leftover.close()

    async def answer(self, sentence: str, ask: Ask, n: int | None) -> dict[str, Any]:
        """The answer to `ask` for what the sentence says; `n` wins over the number in the sentence."""
        started = time.perf_counter()
        completed = await self._read(sentence)
        read_ms = (time.perf_counter() - started) * 1000
        shown = n or min(completed.query.n or DEFAULT_SHOWN, FOUND)
        wider, found = await self._found(completed.query, shown)
        finding_ms = (time.perf_counter() - started) * 1000 - read_ms
        listed = tuple(name[0] for name in self._catalog.names_of(found.ids) if name)
        answer = await self._rank(
            replace(ask, n=shown, listed=listed, seen_too=True, spent=((READING, read_ms), (FINDING, finding_ms))),
            lambda ids: in_order(ids, wider.query, found.ids, self._catalog),
        )
        return answer | {"query": told(wider, completed, found, read_ms)}

    async def _read(self, sentence: str) -> Completed:
        if self._reader is None:
            await self.prepare()
        reader = self._reader
        assert reader is not None
        if reader.titles is not self._catalog.table.titles and (self._renewing is None or self._renewing.done()):
            # Whoever asks meanwhile is read with the words of before.
            self._renewing = asyncio.create_task(self.prepare())
        query = parse(sentence, reader.vocabulary)
        return Completed(query) if reader.leftover is None else await reader.leftover.complete(query)

    async def _found(self, query: Query, shown: int) -> tuple[Wider, Searched]:
        """The narrowest reading that finds something."""
        wider, found = Wider(query, ""), Searched(np.empty(0, np.uint64), False)
        for wider in widened(query):
            pool = max(FOUND_BY_WORDS, 2 * shown) if wider.query.text_left else max(FOUND, shown)
            found = await self._look(wider.query, pool)
            if found.ids.size:
                break
        return wider, found

    def _reader_of(self, table: ItemTable) -> _Reader:
        vocabulary = vocabulary_of(table)
        leftover = None
        if self._reader is not None and self._reader.leftover is not None:
            leftover = self._reader.leftover.renewed(vocabulary)
        elif self._model_s:
            leftover = Leftover(vocabulary, self._ask_model, model=self._model, deadline_s=self._model_s)
        return _Reader(table.titles, vocabulary, leftover)


def vocabulary_of(table: ItemTable) -> Vocabulary:
    """The words of a catalog."""
    years = table.column("year").tolist()
    titles = (
        Title(number, title or external, None if year != year else int(year))
        for number, title, external, year in zip(table.ids.tolist(), table.titles, table.item_ids, years, strict=True)
    )
    people = {person for creators in table.creators for person in creators}
    return Vocabulary(table.genre_names, titles, people)


def in_order(ids: NDArray[np.uint64], query: Query, found: NDArray[np.uint64], known: Known) -> NDArray[np.intp]:
    """(N,) places of `ids`, which are in the ranker's order: that order, unless the sentence names another one, or the
    very item: that one comes first, as in `found`.
    """
    if query.named:
        place_of = {number: place for place, number in enumerate(found.tolist())}
        keys = [float(place_of[number]) for number in ids.tolist()]
    elif query.sort is None:
        return np.arange(ids.size)
    elif query.sort in ("newest", "oldest"):
        sign = -1.0 if query.sort == "newest" else 1.0
        keys = [sign * (year or 0) for year, _ in known.kinds_of(ids)]
    else:
        column = "like_rate" if query.sort == "best" else "event_count"
        keys = [-known.statistics(number).get(column, 0.0) for number in ids.tolist()]
    return np.argsort(keys, kind="stable")


def told(wider: Wider, completed: Completed, found: Searched, read_ms: float) -> dict[str, Any]:
    """How the sentence was understood, for whoever shows it."""
    query = wider.query
    return {
        "genres": list(query.genres),
        "any_genre": query.any_genre,
        "not_genres": list(query.not_genres),
        "years": None if query.years is None else [query.years.first, query.years.last],
        "not_years": [[years.first, years.last] for years in query.not_years],
        "like": list(query.like),
        "title": list(query.named),
        "people": list(query.people),
        "sort": query.sort,
        "n": query.n,
        "text": query.text_left,
        "spans": [asdict(span) for span in query.spans],
        "by_model": completed.by_model,
        "by_words": found.by_words,
        "given_up": wider.given_up,
        "milliseconds": round(read_ms, 2),
    }
