"""The models of one moment, ready to answer: loaded, warm, over the current catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.artifact import DamagedArtifact
from models.content_tower import ContentTower
from models.covisitation import CoVisitation
from models.ease import Ease
from models.items import ItemTable
from models.popularity import Popularity
from models.user import UserState
from services.retrieval.config import RetrievalConfig
from services.retrieval.loading import MODEL_NAMES, IndexHome, loaded, serve_index, tied_tower
from services.retrieval.newcomers import with_newcomers
from services.retrieval.query import RetrievalModels, Tower
from services.retrieval.retriever import Retriever
from services.runtime.errors import SettingsError, Unavailable
from services.runtime.registry import RegisteredVersion, Registry

Versions = Mapping[str, str]
"""Model -> version, of each of MODEL_NAMES."""

_WARM_UP_CALLS = 20


@dataclass(frozen=True, slots=True)
class Serving:
    """A retriever and the registry versions of its models."""

    retriever: Retriever
    versions: Versions
    created_at: Mapping[str, str]
    """Model -> when it was trained, RFC 3339; empty when its manifest does not say."""
    fitted: Tower
    """The tower as it was fitted; the retriever's may know newcomers too."""
    folder: Path
    """The artifact of two_tower: its index can be filled again while the registry is away."""
    content: ContentTower
    """Places newcomers."""
    placed: NDArray[np.uint64]
    """Ids of the catalog for which newcomers were last looked for; compared by identity."""

    def over(self, items: ItemTable) -> Serving:
        """The same over a newer item table."""
        return replace(self, retriever=self.retriever.updated(items))

    def extended(self, items: ItemTable) -> Serving:
        """The same, with vectors for items that came after the models were fitted. Blocks; writes to the index."""
        retriever = self.retriever
        tower = with_newcomers(self.fitted, self.content, items, retriever.index)
        models = replace(retriever.models, tower=tower)
        return replace(self, retriever=Retriever(models, retriever.index, items, retriever.config), placed=items.ids)

    def index_lost(self) -> bool:
        """True when a server is away, or came back without the points it was given. Blocks."""
        index = self.retriever.index
        try:
            return index.remote and index.count() < self.fitted.item_ids.size
        except Unavailable:
            return True


@dataclass(frozen=True, slots=True)
class Loader:
    """From versions of the registry to what serves."""

    registry: Registry
    home: IndexHome
    config: RetrievalConfig | None
    """Instead of what was learned with the towers."""

    def load(self, versions: Versions, items: ItemTable, others: Iterable[Serving] = ()) -> Serving:
        """Loads and warms the versions, or aliases, named. Blocks.

        What `others` have in the same version is shared, the index with its tower.
        SettingsError for a damaged artifact, Unavailable for a registry or an index that is away.
        """
        having = {name: other for other in others for name in MODEL_NAMES if other.versions[name] == versions[name]}
        found = self._resolved(versions)
        folder, twin = found["two_tower"].folder, having.get("two_tower")
        tower = twin.fitted if twin else loaded(tied_tower, folder)
        models = RetrievalModels(
            tower,
            having["co_visitation"].retriever.models.co_visitation
            if "co_visitation" in having
            else loaded(CoVisitation.load, found["co_visitation"].folder),
            having["popularity"].retriever.models.popularity
            if "popularity" in having
            else loaded(Popularity.load, found["popularity"].folder),
            having["ease"].retriever.models.ease if "ease" in having else loaded(Ease.load, found["ease"].folder),
        )
        content = twin.content if twin else loaded(ContentTower.load, folder)
        index = twin.retriever.index if twin else serve_index(self.home, folder, tower, items)
        created_at = {name: version.manifest.lineage.get("created_at", "") for name, version in found.items()}
        try:
            config = self.config or RetrievalConfig.of_manifest(found["two_tower"].manifest.config)
            plain = Retriever(models, index, items, config)
            numbers = {name: version.version for name, version in found.items()}
            serving = Serving(plain, numbers, created_at, tower, folder, content, items.ids).extended(items)
            _warm(serving.retriever)
        except BaseException:
            if twin is None:
                index.close()
            raise
        return serving

    def reindexed(self, serving: Serving, items: ItemTable) -> Serving:
        """The same models over an index that is opened, and filled, once more. Blocks; raises as `load` does."""
        index = serve_index(self.home, serving.folder, serving.fitted, items)
        try:
            retriever = Retriever(serving.retriever.models, index, items, serving.retriever.config)
            return replace(serving, retriever=retriever).extended(items)
        except BaseException:
            index.close()
            raise

    def _resolved(self, versions: Versions) -> dict[str, RegisteredVersion]:
        try:
            return {name: self.registry.resolve(name, version) for name, version in versions.items()}
        except DamagedArtifact as error:
            raise SettingsError(str(error)) from error


def _warm(retriever: Retriever) -> None:
    history = retriever.models.co_visitation.item_ids[:5]
    users = (UserState(0), UserState(1, history=history, history_times=np.arange(history.size), seen=history))
    for call in range(_WARM_UP_CALLS):
        retriever.retrieve(users[call % 2], 500)
