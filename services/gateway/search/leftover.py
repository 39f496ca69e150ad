"""What a model adds to a parsed query: genres, and rarely years, for the words that the parser left.

leftover = Leftover(vocabulary, ask, model="smollm2", deadline_s=2.0)
completed = await leftover.complete(query)      # completed.query is `query` itself when the model has nothing to add
leftover = leftover.renewed(vocabulary)         # for the next version of the catalog
await leftover.close()

The first call also begins to learn what the model says to anything; that goes on when the call's time is over.

`ask` is any callable that turns a Generation into text: a backend in this process, or a client of the LLM gateway.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.gateway.search.query import Query, Years
from services.gateway.search.vocabulary import Vocabulary
from services.gateway.search.words import bag
from services.llm.calls import Generation, Message, Sampling
from services.runtime.errors import CascadeError
from services.runtime.logs import get_logger

log = get_logger("search")

Ask = Callable[[Generation], Awaitable[str]]

MOST_GENRES = 2
"""Genres a model may add: a small one that names more is guessing."""
_TOKENS = 64
_TIMES = bag("""
old older era age ago century decade classic vintage retro grandmother grandfather grandma grandpa childhood modern
golden contemporary hippies colour color
""")
"""Words that speak of a time; without one a model's years are made up."""
_EXAMPLES = (
    ("a clumsy waiter", "Comedy", "null"),
    ("gold diggers ride to California", "Western", "null"),
    ("a widow starts again", "Drama", "null"),
    ("giant spiders in the basement", "Horror", "null"),
    ("the lives of bees", "Documentary", "null"),
    ("a rocket to the moon", "Sci-Fi", "null"),
    ("a thief robs a casino", "Crime", "null"),
    ("letters between lovers in the swing era", "Romance", '{"from":1935,"to":1949}'),
)
_CONTENT_FREE = ("something", "N/A", "a film")
"""Wishes that say nothing: what a model answers to them it answers to anything."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A query, and whether a model had a part in it."""

    query: Query
    by_model: bool = False
    reason: str = ""
    """Why the parser's query stands alone; empty when it does not."""


class Leftover:
    """Asks a model about what is left of a sentence, and takes from its answer what is certain not to do harm."""

    def __init__(self, vocabulary: Vocabulary, ask: Ask, *, model: str, deadline_s: float = 2.0) -> None:
        self._vocabulary = vocabulary
        self._ask = ask
        self._model = model
        self._deadline_s = deadline_s
        self._habits: dict[str, Answer] = {}
        self._learning: asyncio.Task[None] | None = None

    def renewed(self, vocabulary: Vocabulary) -> Leftover:
        """For another catalog. What was learned stays known where the model is asked in the same words."""
        other = Leftover(vocabulary, self._ask, model=self._model, deadline_s=self._deadline_s)
        if request_for("", vocabulary, self._model) == request_for("", self._vocabulary, self._model):
            other._habits, other._learning = self._habits, self._learning
        return other

    async def complete(self, query: Query) -> Completed:
        """The query with what the model adds; the parser's own when nothing is asked or no good answer comes."""
        if reason := nothing_to_ask(query):
            return Completed(query, reason=reason)
        try:
            async with asyncio.timeout(self._deadline_s):
                # Whoever stops waiting leaves it to the next ones.
                await asyncio.shield(self._learned())
                answer = await self._answer(query.text_left)
            merged = merge(query, surprising(answer, self._habits.values()), self._vocabulary)
        except TimeoutError:
            return self._alone(query, f"The model did not answer within {self._deadline_s:g} s.")
        except (CascadeError, ValueError, OSError) as error:
            return self._alone(query, f"The model could not be asked, or not be understood: {error}")
        return (
            Completed(merged, by_model=True) if merged != query else Completed(query, reason="The model added nothing.")
        )

    async def close(self) -> None:
        """Stops learning."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)

    def _learned(self) -> asyncio.Task[None]:
        """What knows all habits when it is done; it is begun again after a failure."""
        known = len(self._habits) == len(_CONTENT_FREE)
        if self._learning is None or (self._learning.done() and not known):
            self._learning = asyncio.create_task(self._learn())
            self._learning.add_done_callback(_noticed)
        return self._learning

    async def _learn(self) -> None:
        for wish in _CONTENT_FREE:
            if wish not in self._habits:
                self._habits[wish] = await self._answer(wish)

    async def _answer(self, wish: str) -> Answer:
        return answer_of(await self._ask(request_for(wish, self._vocabulary, self._model)))

    def _alone(self, query: Query, reason: str) -> Completed:
        log.warning("the parser's query stands alone", reason=reason)
        return Completed(query, reason=reason)


def _noticed(learning: asyncio.Task[None]) -> None:
    """A failure that nobody waited for any more was told to whoever gave up waiting."""
    if not learning.cancelled():
        learning.exception()


def nothing_to_ask(query: Query) -> str:
    """Why no model is asked about this query; empty when one is."""
    if not query.text_left:
        return "Nothing is left to ask about."
    if query.named:
        return "The sentence is a title."
    if query.genres or query.like:
        return "The sentence says by itself what it is about; what is left is searched for as text."
    return ""


def request_for(text: str, vocabulary: Vocabulary, model: str) -> Generation:
    """The question to a model, with the schema that its answer has to satisfy."""
    genres = ", ".join(vocabulary.genres)
    system = (
        f"You turn a wish for a film into JSON. Genres to choose from: {genres}. "
        "Name the one or two genres that fit best, or none. Years are null unless the wish names a time."
    )
    turns = [
        turn
        for wish, genre, years in _EXAMPLES
        if genre in vocabulary.genres
        for turn in (Message("user", wish), Message("assistant", f'{{"genres":["{genre}"],"years":{years}}}'))
    ]
    return Generation(
        model,
        messages=(Message("system", system), *turns, Message("user", text)),
        sampling=Sampling(max_tokens=_TOKENS, temperature=0.0, json_schema=schema_of(vocabulary)),
    )


def schema_of(vocabulary: Vocabulary) -> Mapping[str, Any]:
    """The JSON Schema of an answer: genres of the catalog only, years as whole numbers."""
    year = {"type": "integer", "minimum": vocabulary.first_year or 1880, "maximum": vocabulary.last_year or 2100}
    span = {
        "type": "object",
        "properties": {"from": year, "to": year},
        "required": ["from", "to"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "genres": {"type": "array", "items": {"enum": list(vocabulary.genres)}, "maxItems": MOST_GENRES},
            "years": {"anyOf": [{"type": "null"}, span]},
        },
        "required": ["genres", "years"],
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, as it said it."""

    genres: tuple[str, ...] = ()
    years: Years | None = None


def answer_of(said: str) -> Answer:
    """A model's JSON; ValueError when it is none, or has another form."""
    found = json.loads(said)
    genres = found.get("genres", []) if isinstance(found, dict) else None
    if not isinstance(genres, list) or not all(isinstance(genre, str) for genre in genres):
        raise ValueError(f"the answer has no list of genres: {said[:80]!r}")
    years = found.get("years")
    if years is None:
        return Answer(tuple(genres))
    if not isinstance(years, dict) or not all(type(years.get(end)) is int for end in ("from", "to")):
        raise ValueError(f"the answer's years are no range: {said[:80]!r}")
    return Answer(tuple(genres), Years(years["from"], years["to"]))


def surprising(answer: Answer, habits: Iterable[Answer]) -> Answer:
    """What of an answer the model does not say to anything.

    A small model falls back on its favourites; the idea is that of Zhao et al., "Calibrate Before Use", 2021.
    """
    habits = tuple(habits)
    usual = {genre for habit in habits for genre in habit.genres}
    years = None if any(habit.years == answer.years for habit in habits) else answer.years
    return Answer(tuple(genre for genre in answer.genres if genre not in usual), years)


def merge(query: Query, answer: Answer, vocabulary: Vocabulary) -> Query:
    """The query with what the answer adds. The parser's findings win; what the catalog does not have is dropped."""
    fresh = [genre for genre in dict.fromkeys(answer.genres) if genre in vocabulary.genres]
    fresh = [genre for genre in fresh if genre not in query.not_genres][:MOST_GENRES]
    genres = query.genres or tuple(sorted(fresh))
    years = query.years
    if years is None and answer.years is not None and _speaks_of_time(query.text_left):
        years = _within(answer.years, vocabulary)
    # One of two guesses is enough: asking for both would find nothing when one is wrong.
    either = query.any_genre or (not query.genres and len(genres) > 1)
    implied = query.implied if query.genres else genres
    return replace(query, genres=genres, implied=implied, years=years, any_genre=either)


def _speaks_of_time(text: str) -> bool:
    return not _TIMES.isdisjoint(text.casefold().split())


def _within(years: Years, vocabulary: Vocabulary) -> Years | None:
    first, last = years.first, years.last
    if first is None or last is None or first > last:
        return None
    oldest, newest = vocabulary.first_year, vocabulary.last_year
    if oldest is None or newest is None or last < oldest or first > newest:
        return None
    return years
