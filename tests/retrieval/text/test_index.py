from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qdrant_client import QdrantClient

from models.sentence_encoder import SentenceEncoder
from services.retrieval.text import Document, TextIndex, Where, open_text_store
from services.retrieval.text.edge import EdgeTextStore
from services.retrieval.text.qdrant import QdrantTextStore
from services.retrieval.text.store import Entry
from services.runtime.errors import Unavailable
from tests.retrieval.text.words_encoder import DIMENSIONS, WordsEncoder

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]

FILMS = (
    Document(1, "Matrix, The", 1999, ("Action", "Sci-Fi")),
    Document(2, "Dog Day Afternoon", 1975, ("Crime",)),
    Document(3, "Lawn Dogs", 1997, ("Drama",)),
    Document(4, "War of the Worlds", 1953, ("Action", "Sci-Fi")),
    Document(5, "It", None),
)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[TextIndex]:
    index = TextIndex(open_text_store(f"edge://{tmp_path / 'text'}", DIMENSIONS), WordsEncoder())
    index.follow(FILMS)
    yield index
    index.close()


def test_a_word_that_was_said_comes_first(index: TextIndex) -> None:
    assert index.search("the matrix", 3).ids[0] == 1
    assert set(index.search("a film about dogs", 2).ids.tolist()) == {2, 3}
    assert index.search("It", 1).ids.tolist() == [5]


def test_filters_hold_in_both_halves(index: TextIndex) -> None:
    assert index.search("dogs", 5, Where(year_to=1980)).ids.tolist()[0] == 2
    assert set(index.search("dogs", 5, Where(genres=("Sci-Fi",))).ids.tolist()) == {1, 4}


def test_a_text_without_words_finds_nothing(index: TextIndex) -> None:
    assert index.search("?! ...", 5).ids.size == 0


def test_a_catalog_that_did_not_change_costs_nothing(index: TextIndex) -> None:
    assert index.follow(FILMS) == 0


def test_following_puts_the_new_replaces_the_changed_and_removes_the_gone(index: TextIndex) -> None:
    renamed = Document(2, "Heat", 1995, ("Crime",))
    assert index.follow([FILMS[0], renamed, Document(9, "Zelig", 1983, ("Comedy",))]) == 5
    assert len(index) == 3
    assert index.search("heat", 1).ids.tolist() == [2]
    assert index.search("zelig", 1).ids.tolist() == [9]
    assert set(index.search("dogs", 9).ids.tolist()) == {1, 2, 9}


def test_a_new_process_takes_what_another_left_in_the_store_away(tmp_path: Path) -> None:
    client = QdrantClient(":memory:", force_disable_check_same_thread=True)
    TextIndex(QdrantTextStore(client, "text", DIMENSIONS), WordsEncoder()).follow(FILMS)
    store = QdrantTextStore(client, "text", DIMENSIONS)
    TextIndex(store, WordsEncoder()).follow(FILMS[:2])
    assert store.count() == 2
    client.close()


def test_a_second_start_encodes_nothing(tmp_path: Path) -> None:
    for encoder in (WordsEncoder(), WordsEncoder()):
        index = TextIndex(open_text_store(f"edge://{tmp_path / 'text'}", DIMENSIONS), encoder, tmp_path / "text.npz")
        index.follow(FILMS)
        index.close()
    assert encoder.encoded == 0


class FailingOnce(QdrantTextStore):
    """A store whose server does not answer the first write and the first deletion."""

    def __init__(self, client: QdrantClient) -> None:
        super().__init__(client, "text", DIMENSIONS)
        self.fails = {"upsert", "delete"}

    def upsert(self, entries: Sequence[Entry]) -> None:
        self._fail_once("upsert")
        super().upsert(entries)

    def delete(self, ids: Collection[int]) -> None:
        self._fail_once("delete")
        super().delete(ids)

    def _fail_once(self, verb: str) -> None:
        if verb in self.fails:
            self.fails.remove(verb)
            raise Unavailable("The server went away.")


def test_what_a_failed_write_left_is_done_by_the_next_follow() -> None:
    client = QdrantClient(":memory:")
    store = FailingOnce(client)
    index = TextIndex(store, WordsEncoder())
    with pytest.raises(Unavailable):
        index.follow(FILMS)
    index.follow(FILMS)
    assert store.count() == len(FILMS)
    with pytest.raises(Unavailable):
        index.follow(FILMS[:3])
    index.follow(FILMS[:3])
    assert store.count() == 3
    client.close()


DOCUMENT = st.builds(
    Document,
    id=st.integers(1, 6),
    title=st.lists(st.sampled_from(["war", "dog", "love", "night"]), max_size=6).map(" ".join),
    year=st.none() | st.integers(1990, 1999),
)


@given(changes=st.lists(DOCUMENT | st.integers(1, 6), max_size=12))
@settings(max_examples=25, derandomize=True)
def test_an_index_that_followed_every_change_finds_what_a_rebuilt_one_finds(changes: list[Document | int]) -> None:
    client = QdrantClient(":memory:")
    changing = TextIndex(QdrantTextStore(client, "changing", DIMENSIONS), WordsEncoder())
    left: dict[int, Document] = {}
    for change in changes:
        if isinstance(change, int):
            changing.delete([change])
            left.pop(change, None)
        else:
            changing.put([change])
            left[change.id] = change
    rebuilt = TextIndex(QdrantTextStore(client, "rebuilt", DIMENSIONS), WordsEncoder())
    rebuilt.follow(list(left.values()))
    for question in ("war", "love night"):
        assert set(changing.search(question, 9).ids.tolist()) == set(rebuilt.search(question, 9).ids.tolist())
    assert len(changing) == len(rebuilt) == len(left)
    client.close()


def test_the_real_encoder_finds_what_is_meant_without_a_common_word(tmp_path: Path) -> None:
    encoder = SentenceEncoder.load()
    index = TextIndex(open_text_store(f"edge://{tmp_path / 'text'}", encoder.dimensions), encoder)
    index.follow(FILMS)
    assert index.search("alien invasion", 1).ids.tolist() == [4]
    index.close()


def test_an_index_that_is_closed_while_it_is_built_lets_go_after_its_batch(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(WordsEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            begun.set()
            assert go_on.wait(10)
            return super().encode(texts)

    encoder = Slow()
    index = TextIndex(EdgeTextStore(tmp_path / "shard", encoder.dimensions), encoder)
    documents = [Document(number, f"Film {number}") for number in range(1, 1001)]
    building = threading.Thread(target=index.follow, args=(documents,))
    building.start()
    assert begun.wait(10)
    closing = threading.Thread(target=index.close)
    closing.start()
    go_on.set()
    closing.join(10)
    assert not closing.is_alive()
    building.join(10)
    EdgeTextStore(tmp_path / "shard", encoder.dimensions).close()
