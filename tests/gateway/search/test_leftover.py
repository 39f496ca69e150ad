from __future__ import annotations

import asyncio
import json

import pytest

from services.gateway.search import Leftover, Query, Vocabulary, Years, parse
from services.gateway.search.leftover import (
    _CONTENT_FREE,
    Answer,
    answer_of,
    merge,
    nothing_to_ask,
    request_for,
    schema_of,
    surprising,
)
from services.llm.calls import Generation
from services.runtime.errors import Unavailable
from tests.gateway.search.small_catalog import vocabulary

SMALL = vocabulary()


NOTHING = '{"genres":[],"years":null}'


class Model:
    """Says one thing about a boxer and another about anything else, and remembers what it was asked."""

    def __init__(self, said: str | Exception, else_said: str = NOTHING) -> None:
        self._said, self._else_said = said, else_said
        self.asked: list[str] = []

    async def __call__(self, generation: Generation) -> str:
        self.asked.append(generation.messages[-1].content)
        if "boxer" not in self.asked[-1]:
            return self._else_said
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


def leftover(model: Model) -> Leftover:
    return Leftover(SMALL, model, model="small", deadline_s=5.0)


async def test_what_the_parser_left_is_given_a_genre_by_the_model() -> None:
    model = Model('{"genres":["Drama"],"years":null}')
    completed = await leftover(model).complete(parse("a boxer who never gives up, since 1980", SMALL))
    assert completed.by_model
    assert completed.query.genres == completed.query.implied == ("Drama",)
    assert completed.query.years == Years(1980, None)
    assert model.asked[-1] == "boxer never gives up"


async def test_what_the_model_says_to_anything_is_not_believed() -> None:
    model = Model('{"genres":["Drama","War"],"years":null}', '{"genres":["Drama"],"years":null}')
    completed = await leftover(model).complete(parse("a boxer", SMALL))
    assert completed.query.genres == ("War",)


async def test_the_models_habits_are_asked_for_once() -> None:
    model = Model(NOTHING)
    reader = leftover(model)
    for _ in range(3):
        await reader.complete(parse("a boxer", SMALL))
    assert model.asked.count("boxer") == 3
    assert len(model.asked) == len(set(model.asked)) + 2


async def test_what_a_late_model_is_asked_first_is_learned_when_the_call_is_over() -> None:
    answers, learned, model = asyncio.Event(), asyncio.Event(), Model('{"genres":["Drama"],"years":null}')

    async def late(generation: Generation) -> str:
        await answers.wait()
        said = await model(generation)
        if len(model.asked) == len(_CONTENT_FREE):
            learned.set()
        return said

    hasty = Leftover(SMALL, late, model="small", deadline_s=0.01)
    assert not (await hasty.complete(parse("a boxer", SMALL))).by_model
    answers.set()
    async with asyncio.timeout(5):
        await learned.wait()
    await hasty.close()
    assert model.asked == list(_CONTENT_FREE)


async def test_another_version_of_the_catalog_asks_for_the_habits_only_in_other_words() -> None:
    model = Model(NOTHING)
    first = leftover(model)
    await first.complete(parse("a boxer", SMALL))
    await first.renewed(vocabulary()).complete(parse("a boxer", SMALL))
    assert model.asked == [*_CONTENT_FREE, "boxer", "boxer"]
    other = Vocabulary(("Drama", "War"), [])
    await first.renewed(other).complete(parse("a boxer", other))
    assert model.asked[5:] == [*_CONTENT_FREE, "boxer"]


async def test_a_failure_while_learning_is_not_remembered() -> None:
    said: list[str | Exception] = [Unavailable("Away."), *[NOTHING] * 4]

    async def once_away(_: Generation) -> str:
        answer = said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    reader = Leftover(SMALL, once_away, model="small", deadline_s=5.0)
    assert "Away" in (await reader.complete(parse("a boxer", SMALL))).reason
    assert (await reader.complete(parse("a boxer", SMALL))).reason == "The model added nothing."


@pytest.mark.parametrize("sentence", ["scary films", "a scary film about chess", "The Matrix", "like Heat, chess", ""])
async def test_the_model_is_not_asked_about_what_is_clear(sentence: str) -> None:
    model = Model("{}")
    query = parse(sentence, SMALL)
    assert nothing_to_ask(query)
    assert (await leftover(model).complete(query)).query is query
    assert model.asked == []


@pytest.mark.parametrize(
    "said",
    [
        "not JSON",
        "[]",
        '{"genres":"Drama"}',
        '{"genres":[1]}',
        '{"genres":[],"years":7}',
        '{"genres":[],"years":{"from":true,"to":1}}',
        Unavailable("The model is gone."),
        ConnectionResetError("gone"),
    ],
)
async def test_a_bad_answer_leaves_the_parsers_query(said: str | Exception) -> None:
    query = parse("a boxer", SMALL)
    completed = await leftover(Model(said)).complete(query)
    assert completed.query is query
    assert not completed.by_model
    assert completed.reason


async def test_a_model_that_is_late_leaves_the_parsers_query() -> None:
    async def never(generation: Generation) -> str:
        await asyncio.Event().wait()
        return ""

    query = parse("a boxer", SMALL)
    completed = await Leftover(SMALL, never, model="small", deadline_s=0.01).complete(query)
    assert completed.query is query
    assert "did not answer" in completed.reason


def test_the_parsers_findings_win() -> None:
    query = Query("x", text_left="old x", genres=("Comedy",), not_genres=("War",), years=Years(1990, 1999))
    assert merge(query, Answer(("Drama", "War"), Years(1950, 1959)), SMALL) == query


def test_what_is_unwanted_or_unknown_is_dropped() -> None:
    query = Query("x", text_left="old x", not_genres=("War",))
    merged = merge(query, Answer(("War", "Kung-Fu", "Drama"), Years(1800, 1850)), SMALL)
    assert merged.genres == ("Drama",)
    assert merged.years is None


def test_years_count_only_where_a_time_is_spoken_of() -> None:
    answer = Answer((), Years(1930, 1939))
    assert merge(Query("x", text_left="my grandmother"), answer, SMALL).years == Years(1930, 1939)
    assert merge(Query("x", text_left="a boxer"), answer, SMALL).years is None
    assert merge(Query("x", text_left="my grandmother"), Answer((), Years(1999, 1930)), SMALL).years is None


def test_years_that_the_model_says_to_anything_are_not_believed() -> None:
    years = Years(1935, 1949)
    assert surprising(Answer((), years), [Answer((), years)]).years is None
    assert surprising(Answer((), years), [Answer()]).years == years


def test_one_of_two_guessed_genres_is_enough() -> None:
    assert merge(Query("x", text_left="x"), Answer(("Drama", "War")), SMALL).any_genre


def test_the_schema_allows_the_catalogs_genres_only_and_the_examples_satisfy_it() -> None:
    schema = schema_of(SMALL)
    assert schema["properties"]["genres"]["items"]["enum"] == list(SMALL.genres)
    for message in request_for("x", SMALL, "small").messages:
        if message.role == "assistant":
            answer = answer_of(message.content)
            assert set(answer.genres) <= set(SMALL.genres)
            assert set(json.loads(message.content)) == set(schema["required"])
