"""The Qdrant client's code path over its exact local engine, and over a server if any."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient

from services.retrieval.text import TextStore, open_text_store
from services.retrieval.text.qdrant import QdrantTextStore
from services.runtime.errors import SettingsError, Unavailable
from tests.retrieval.text.store_contract import DIMENSIONS, ENTRIES, TextStoreContract

# The local engine says that it is exact and keeps no payload indexes.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]

SERVER = os.environ.get("CASCADE_TEST_QDRANT_URL", "")
"""qdrant://host:6334 or qdrant+http://host:6333 of a server that the contract may use."""


class TestQdrantClient(TextStoreContract):
    @pytest.fixture
    def store(self) -> Iterator[TextStore]:
        store = QdrantTextStore(QdrantClient(":memory:"), "items_text", DIMENSIONS)
        yield store
        store.close()


@pytest.mark.skipif(not SERVER, reason="no Qdrant server: set CASCADE_TEST_QDRANT_URL to run the contract against one")
class TestQdrantServer(TextStoreContract):
    @pytest.fixture
    def store(self) -> Iterator[TextStore]:
        store = open_text_store(f"{SERVER}/text-{uuid.uuid4().hex}", DIMENSIONS)
        yield store
        store.close()


def test_a_second_process_finds_the_collection_of_the_first() -> None:
    client = QdrantClient(":memory:")
    QdrantTextStore(client, "items_text", DIMENSIONS).upsert(ENTRIES)
    assert QdrantTextStore(client, "items_text", DIMENSIONS).count() == len(ENTRIES)
    client.close()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        open_text_store("qdrant+http://127.0.0.1:1/items_text", DIMENSIONS, timeout_s=1.0)


@pytest.mark.parametrize("url", ["edge://", "qdrant://host", "qdrant://host:1", "milvus://h:1/x", "qdrant://h:x/c", ""])
def test_a_url_of_another_form_is_refused_with_the_forms(url: str) -> None:
    with pytest.raises(SettingsError, match="edge:///path"):
        open_text_store(url, DIMENSIONS)
