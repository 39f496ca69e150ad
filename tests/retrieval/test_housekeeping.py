"""A Qdrant server shows which collection the champion's is, and keeps none that nobody serves from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse
from structlog.testing import capture_logs

from services.retrieval.housekeeping import GRACE_SECONDS, Housekeeping
from services.retrieval.index.qdrant import QdrantIndex
from services.retrieval.loading import IndexHome
from services.runtime.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from tests.retrieval.artifacts import MODELS

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

HOME = IndexHome("qdrant://qdrant:6334", "films")
DIMENSION = 4


class Server:
    """The client library's own engine, a registry of five towers, and a clock."""

    def __init__(self, registry: Registry, artifacts: Path) -> None:
        self.client = QdrantClient(":memory:", force_disable_check_same_thread=True)
        self.registry, self.now = registry, 0.0
        for _ in range(4):
            registry.publish(MODELS[0], artifacts / MODELS[0])
        self.keeping = Housekeeping(registry, HOME, lambda: self.now)

    def index(self, version: str) -> QdrantIndex:
        """The index of a version, its collection made when it is not there."""
        return QdrantIndex(self.client, HOME.collection_of(self.registry.resolve(MODELS[0], version).folder), DIMENSION)

    def aliases(self) -> dict[str, str]:
        return {entry.alias_name: entry.collection_name for entry in self.client.get_aliases().aliases}

    def collections(self) -> set[str]:
        return {entry.name for entry in self.client.get_collections().collections}


@pytest.fixture
def server(data_dir: Path, artifacts: Path) -> Iterator[Server]:
    server = Server(Registry.open(data_dir), artifacts)
    yield server
    server.client.close()


def test_the_alias_follows_the_champion(server: Server) -> None:
    first, second = server.index("1"), server.index("2")
    server.keeping.follow(first, [first])
    assert server.aliases() == {"films_champion": first.collection}
    server.keeping.follow(second, [second, first])
    assert server.aliases() == {"films_champion": second.collection}


def test_collections_that_somebody_may_serve_from_stay_and_the_others_go_after_a_while(server: Server) -> None:
    indexes = {version: server.index(version) for version in "12345"}
    foreign = QdrantIndex(server.client, "films_of_somebody_else", DIMENSION)
    for alias, version in ((CHAMPION, "5"), (CHALLENGER, "4"), (PREVIOUS, "3")):
        server.registry.set_alias(MODELS[0], alias, version)
    # This process still holds version 2; others may hold 3 and 4.
    held = [indexes["5"], indexes["2"]]
    server.keeping.follow(indexes["5"], held)
    server.now += GRACE_SECONDS - 1
    server.keeping.follow(indexes["5"], held)
    assert indexes["1"].collection in server.collections()
    server.now += 1
    server.keeping.follow(indexes["5"], held)
    assert server.collections() == {indexes[version].collection for version in "2345"} | {foreign.collection}


def test_a_server_without_aliases_is_told_of_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise UnexpectedResponse(404, "Not Found", b"", None)  # type: ignore[arg-type]  # no headers are read

    monkeypatch.setattr(server.client, "update_collection_aliases", refused)
    index = server.index("1")
    with capture_logs() as told:
        for _ in range(5):
            server.now += 3600
            server.keeping.follow(index, [index])
    assert [entry["log_level"] for entry in told] == ["warning"]
    assert server.aliases() == {}
