"""The parsers that are scored, by name: the deterministic one, a model alone, and both together."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from services.gateway.search import Leftover, Query, Title, Vocabulary, Years, parse
from services.gateway.search.leftover import Ask
from services.gateway.search.query import Sort
from services.gateway.search.words import phrase
from services.llm.backends.opening import open_backend
from services.llm.calls import Generation, Message, Sampling
from services.trainer.data.movielens import read_movielens
from services.trainer.data.sources import fetch

Parser = Callable[[str], Awaitable[Query]]
MODEL_SECONDS = 60.0
"""A model is given all the time it needs here: how well it understands is measured, not how fast."""
_TOKENS = 160
_NOTHING: dict[str, Any] = {"genres": [], "not_genres": [], "years": None, "titles": [], "sort": None, "n": None}
_EXAMPLES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("scary films from the seventies", {"genres": ["Horror"], "years": {"from": 1970, "to": 1979}}),
    ("a thriller without war", {"genres": ["Thriller"], "not_genres": ["War"]}),
    ("movies like Casablanca", {"titles": ["Casablanca"]}),
    ("a love story", {"genres": ["Romance"]}),
)
"""The best of six prompts on the half that may be tuned on."""


@dataclass(frozen=True, slots=True)
class ModelAlone:
    """The whole query from a model, constrained by a schema with every field the parser has."""

    vocabulary: Vocabulary
    ask: Ask
    model: str

    async def __call__(self, sentence: str) -> Query:
        """The model's query; its titles count when the catalog has them in any spelling."""
        system = (
            "You turn a wish for films into JSON: wanted and unwanted genres, first and last year, titles it should be "
            "like, order and number. Leave out what the wish does not say. "
            f"Genres: {', '.join(self.vocabulary.genres)}."
        )
        said_before = ((wish, json.dumps(_NOTHING | fields, separators=(",", ":"))) for wish, fields in _EXAMPLES)
        shots = [turn for wish, said in said_before for turn in (Message("user", wish), Message("assistant", said))]
        turns = (Message("system", system), *shots, Message("user", sentence))
        sampling = Sampling(max_tokens=_TOKENS, temperature=0.0, json_schema=schema_of(self.vocabulary))
        said = await self.ask(Generation(self.model, turns, sampling=sampling))
        try:
            return self._query(sentence, json.loads(said))
        except ValueError:
            # Out of tokens in the middle of a list: such an answer says nothing.
            return Query(sentence)

    def _query(self, sentence: str, found: Mapping[str, Any]) -> Query:
        years = found["years"]
        titles = [self.vocabulary.titled(phrase(title)) for title in found["titles"]]
        return Query(
            sentence,
            genres=tuple(dict.fromkeys(found["genres"])),
            not_genres=tuple(dict.fromkeys(found["not_genres"])),
            years=None if years is None else Years(years["from"], years["to"]),
            like=tuple(dict.fromkeys(same[0].title for same in titles if same)),
            sort=found["sort"],
            n=found["n"],
        )


def schema_of(vocabulary: Vocabulary) -> dict[str, Any]:
    """The JSON Schema of a whole query."""
    year = {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 1880, "maximum": 2100}]}
    genres = {"type": "array", "items": {"enum": list(vocabulary.genres)}, "maxItems": 4}
    fields: dict[str, Any] = {
        "genres": genres,
        "not_genres": genres,
        "years": {"anyOf": [{"type": "null"}, _object({"from": year, "to": year})]},
        "titles": {"type": "array", "items": {"type": "string", "maxLength": 60}, "maxItems": 2},
        "sort": {"anyOf": [{"type": "null"}, {"enum": list(get_args(Sort))}]},
        "n": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 1, "maximum": 100}]},
    }
    return _object(fields)


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def movielens_vocabulary(data: Path) -> Vocabulary:
    """The vocabulary of MovieLens-1M, downloaded into `data` when it is not there."""
    items = read_movielens("ml-1m", fetch("ml-1m", data)).items
    rows = items.select("item_id", "title", "year", "genres").rows()
    titles = [Title(int(number), title, year) for number, title, year, _ in rows]
    return Vocabulary({genre for *_, genres in rows for genre in genres}, titles)


@asynccontextmanager
async def parsers_of(model: str | None, data: Path) -> AsyncIterator[dict[str, Parser]]:
    """The parsers by name: those with a model only when a backend's URL is given."""
    vocabulary = movielens_vocabulary(data)

    async def alone(sentence: str) -> Query:
        return parse(sentence, vocabulary)

    if model is None:
        yield {"parser": alone}
        return
    backend, name = open_backend(model), model.rsplit("/", 1)[-1]

    async def ask(generation: Generation) -> str:
        return (await backend.complete(generation, MODEL_SECONDS)).text

    leftover = Leftover(vocabulary, ask, model=name, deadline_s=MODEL_SECONDS)

    async def together(sentence: str) -> Query:
        return (await leftover.complete(parse(sentence, vocabulary))).query

    try:
        yield {"parser": alone, "model": ModelAlone(vocabulary, ask, name), "parser+model": together}
    finally:
        await backend.close()
