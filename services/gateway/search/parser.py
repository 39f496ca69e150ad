"""A sentence to a structured query, without a model: titles first, for they may contain all else, then the rest."""

from __future__ import annotations

from services.gateway.search.genres import read_genres
from services.gateway.search.people import read_people
from services.gateway.search.query import Query
from services.gateway.search.titles import read_titles, whole_title
from services.gateway.search.vocabulary import Title, Vocabulary
from services.gateway.search.wishes import read_count, read_sort
from services.gateway.search.words import Reading
from services.gateway.search.years import read_years


def parse(sentence: str, vocabulary: Vocabulary) -> Query:
    """What the sentence asks for, as far as it can be told for sure. Never raises; reads the first 400 characters."""
    reading = Reading.of(sentence)
    named = whole_title(reading, vocabulary)
    if named:
        return _named(reading, named)
    like = read_titles(reading, vocabulary)
    people = read_people(reading, vocabulary)
    years = read_years(reading, vocabulary.this_year)
    genres = read_genres(reading, vocabulary.sayings)
    count = read_count(reading)
    sort = read_sort(reading)
    return Query(
        sentence=sentence,
        text_left=reading.left(),
        genres=tuple(sorted(genres.wanted)),
        implied=tuple(sorted(genre for genre, named in genres.wanted.items() if not named)),
        any_genre=genres.either and len(genres.wanted) > 1,
        not_genres=tuple(sorted(genres.unwanted)),
        years=years.wanted,
        not_years=years.unwanted,
        like=tuple(dict.fromkeys(title.title for title in like)),
        like_ids=tuple(dict.fromkeys(title.id for title in like)),
        people=people,
        sort=sort,
        n=count,
        spans=tuple(sorted(reading.spans, key=lambda span: span.start)),
    )


def _named(reading: Reading, titles: list[Title]) -> Query:
    """A sentence that is a title: it is looked for as it stands."""
    names = tuple(dict.fromkeys(title.title for title in titles))
    reading.claim(0, len(reading.words), "title", names[0])
    spans = tuple(reading.spans)
    return Query(reading.sentence, text_left=reading.sentence.strip(), named=names, spans=spans)
