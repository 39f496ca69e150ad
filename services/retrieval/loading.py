"""From artifact folders to a retriever: the same way in the service and in the trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from models.artifact import DamagedArtifact, read_manifest
from models.covisitation import CoVisitation
from models.ease import Ease
from models.items import ItemTable
from models.popularity import Popularity
from models.tower_fingerprint import require_tied
from models.user_tower import UserTower
from services.retrieval.config import RetrievalConfig
from services.retrieval.index import VectorIndex, open_index
from services.retrieval.index.edge import EdgeIndex
from services.retrieval.query import RetrievalModels, Tower
from services.retrieval.retriever import Retriever
from services.runtime.errors import SettingsError

MODEL_NAMES = ("two_tower", "co_visitation", "popularity", "ease")
"""As the registry knows them."""

INDEX_FOLDER = "index"
"""Inside the artifact of two_tower: the shard built from its vectors."""

_UNREADABLE = (DamagedArtifact, OSError, ValueError, KeyError)

Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class IndexHome:
    """Where the indexes of all tower versions lie."""

    url: str
    """edge:///path, qdrant://host:6334 or qdrant+http://host:6333."""
    prefix: str = "two_tower"
    """Of the names on a server; two stacks that share one need two."""

    def collection_of(self, folder: Path) -> str:
        """By the artifact's folder: a registry that starts anew counts its versions from one again."""
        return f"{self.prefix}_{folder.name}"

    @property
    def alias(self) -> str:
        """The name under which a server shows the champion's collection."""
        return f"{self.prefix}_champion"


def load_models(folders: Mapping[str, Path]) -> RetrievalModels:
    """The models of their artifact folders, by name. SettingsError when one cannot be read."""
    return RetrievalModels(
        loaded(tied_tower, folders["two_tower"]),
        loaded(CoVisitation.load, folders["co_visitation"]),
        loaded(Popularity.load, folders["popularity"]),
        loaded(Ease.load, folders["ease"]),
    )


def tied_tower(folder: Path) -> UserTower:
    """The user tower of an artifact. DamagedArtifact when it belongs to other item vectors: it would find nothing."""
    require_tied(folder)
    return UserTower.load(folder)


def loaded(load: Callable[[Path], Model], folder: Path) -> Model:
    """What `load` makes of an artifact folder. SettingsError when it cannot be read."""
    try:
        return load(folder)
    except _UNREADABLE as error:
        raise SettingsError(f"A retrieval model cannot be loaded: {error}. Train again with: make train") from error


@contextmanager
def open_retriever(
    folder: Path, items: ItemTable, scratch: Path, config: RetrievalConfig | None = None
) -> Iterator[Retriever]:
    """The retriever of freshly fitted artifacts: a folder for each of MODEL_NAMES.

    The index is opened from a private copy under `scratch`, so the artifact stays as it was sealed.
    """
    models = load_models({name: folder / name for name in MODEL_NAMES})
    index = _shard_of(folder / "two_tower", models.tower, scratch)
    try:
        learned = RetrievalConfig.of_manifest(read_manifest(folder / "two_tower").config)
        yield Retriever(models, index, items, config or learned)
    finally:
        index.close()


def serve_index(home: IndexHome, folder: Path, tower: Tower, items: ItemTable) -> VectorIndex:
    """The index of one tower version, ready to search.

    edge:///path serves a private copy, under that path, of the shard in the artifact. A Qdrant server gets a
    collection per artifact, filled from its vectors by whoever comes first.
    """
    parts = urlsplit(home.url)
    if parts.scheme == "edge":
        return _shard_of(folder, tower, Path(parts.path))
    index = open_index(f"{home.url.rstrip('/')}/{home.collection_of(folder)}", tower.item_vectors.shape[1])
    if index.count() < tower.item_ids.size:
        genres = [items.genres[row] if row >= 0 else () for row in items.rows_of(tower.item_ids).tolist()]
        index.upsert(tower.item_ids, tower.item_vectors, genres)
    return index


def _shard_of(folder: Path, tower: Tower, scratch: Path) -> EdgeIndex:
    index = EdgeIndex.open_copy(folder / INDEX_FOLDER, scratch)
    # The engine opens a folder without segments as an empty shard.
    if (points := index.count()) < tower.item_ids.size:
        index.close()
        raise SettingsError(
            f"{folder / INDEX_FOLDER} holds {points} of the tower's {tower.item_ids.size} vectors. Train again."
        )
    return index
