"""Search over gRPC: words, likeness and filters, and what is answered while the words are not there yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.items import ItemTable
from services.pb import retrieval_pb2
from services.retrieval.search import permitted
from services.retrieval.text import Where
from services.runtime.client import call
from services.runtime.errors import InvalidArgument
from tests.retrieval.features_peer import item_rows
from tests.retrieval.test_service import Stack, eventually, running
from tests.retrieval.tiny_models import GENRES


async def searched(stack: Stack, n: int = 10, **fields: Any) -> retrieval_pb2.SearchResponse:
    request = retrieval_pb2.SearchRequest(n=n, **fields)
    return await call(stack.stub.Search, request, timeout=5, peer="retrieval")


async def test_words_likeness_and_filters_find_items(published: Path) -> None:
    async with running(published) as stack:

        async def built() -> bool:
            return (await searched(stack, text="Item 42")).by_words

        await eventually(built, deadline_s=30)
        assert (await searched(stack, text="Item 42")).ids[0] == 42
        comedies = await searched(stack, text="Item 42", genres=["Comedy"], n=5)
        assert {GENRES[item % 3] for item in comedies.ids} == {"Comedy"}
        alike = await searched(stack, like=[4], n=5)
        assert {item % 3 for item in alike.ids} == {1}
        assert 4 not in alike.ids
        others = await searched(stack, like=[4], not_genres=["Comedy"], n=5)
        assert 1 not in {item % 3 for item in others.ids}
        assert not others.by_words
        with pytest.raises(InvalidArgument, match="n must be"):
            await searched(stack, n=0)
        stack.peer.send(deleted=(42,))

        async def gone() -> bool:
            return 42 not in (await searched(stack, text="Item 42")).ids

        await eventually(gone)


async def test_filters_alone_list_the_popular(published: Path) -> None:
    async with running(published) as stack:
        answer = await searched(stack, genres=["Drama"], n=200)
    assert {item % 3 for item in answer.ids} == {2}
    assert set(answer.ids[-1:]) <= {91, 92, 93}, "New items have no events."


async def test_without_a_text_index_the_rest_still_answers(published: Path) -> None:
    async with running(published, text_index_url="qdrant+http://127.0.0.1:9/nothing") as stack:
        answer = await searched(stack, text="Item 42", genres=["Drama"], n=3)
    assert not answer.by_words
    assert len(answer.ids) == 3


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        (Where(), [1, 2, 3, 4]),
        (Where(genres=("Comedy", "Crime")), [1]),
        (Where(any_genres=("Comedy", "Crime")), [1, 2, 4]),
        (Where(not_genres=("Comedy",)), [3, 4]),
        (Where(year_from=1990), [2, 3]),
        (Where(year_from=1980, year_to=1990), [1, 2]),
        (Where(not_years=((1980, 1981), (1999, 2005))), [2, 4]),
        (Where(genres=("Unheard",)), []),
    ],
)
def test_filters_let_through_what_they_say(where: Where, ids: list[int]) -> None:
    genres = [["Comedy", "Crime"], ["Comedy"], ["Drama"], ["Crime"]]
    table = ItemTable(item_rows([1, 2, 3, 4], genres, year=[1980.0, 1990.0, 1999.0, np.nan]))
    assert table.ids[permitted(table, where)].tolist() == ids
