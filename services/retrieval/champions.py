"""The retriever that serves now: the registry's champions over the current catalog, swapped whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.artifact import DamagedArtifact
from models.content_tower import ContentTower
from models.items import ItemTable
from models.user import UserState
from services.retrieval.index import VectorIndex
from services.retrieval.loading import MODEL_NAMES, load_content, load_models, serve_index
from services.retrieval.newcomers import with_newcomers
from services.retrieval.query import Tower
from services.retrieval.retriever import Retriever
from services.retrieval.settings import RetrievalSettings
from services.runtime.errors import CascadeError, SettingsError, Unavailable
from services.runtime.itemfeed import ItemFeed
from services.runtime.logs import get_logger
from services.runtime.metrics import ITEMS, model_loaded, model_retired
from services.runtime.registry import CHAMPION, RegisteredVersion, Registry

log = get_logger("champions")

_WARM_UP_CALLS = 20


@dataclass(frozen=True, slots=True)
class Serving:
    """A retriever and the registry versions of its models."""

    retriever: Retriever
    versions: Mapping[str, str]
    created_at: Mapping[str, str]
    """Model -> when it was trained, RFC 3339; empty when its manifest does not say."""
    fitted: Tower
    """The tower as it was fitted; the retriever's may know newcomers too."""
    content: ContentTower
    """Places newcomers."""
    placed: NDArray[np.uint64]
    """Ids of the catalog for which newcomers were last looked for; compared by identity."""


class Champions:
    """Follows the registry and the item feed. `current` is replaced, never changed."""

    def __init__(self, registry: Registry, feed: ItemFeed, settings: RetrievalSettings) -> None:
        self._registry = registry
        self._feed = feed
        self._settings = settings
        self._index_url = settings.index_url or f"edge://{(settings.data_dir / 'index').absolute()}"
        self._retired: list[VectorIndex] = []
        self.current = self._loaded(feed.table)
        self._told()

    @classmethod
    @asynccontextmanager
    async def following(
        cls, registry: Registry, feed: ItemFeed, settings: RetrievalSettings
    ) -> AsyncIterator[Champions]:
        """Champions that are loaded, warm, and followed until the block ends."""
        champions = await asyncio.to_thread(cls, registry, feed, settings)
        feed.on_change(champions.take_catalog)
        task = asyncio.create_task(champions._follow())
        try:
            yield champions
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            champions.close()

    def take_catalog(self, items: ItemTable) -> None:
        """Serves over a newer item table from now on."""
        self.current = replace(self.current, retriever=self.current.retriever.updated(items))
        ITEMS.labels("retrieval").set(len(items))

    async def refresh(self) -> bool:
        """Swaps to new champions; True when it did. Versions that cannot be loaded change nothing."""
        self._close_retired()
        if not await asyncio.to_thread(self._behind):
            if not await asyncio.to_thread(self._index_lost):
                await self._admit_newcomers()
                return False
            log.warning("the vector index does not hold what it should; loading it again")
        try:
            fresh = await asyncio.to_thread(self._loaded, self._feed.table)
        except CascadeError as error:
            log.error("new champions cannot be loaded", reason=error.sentence)
            return False
        self._retire(self.current)
        self.current = fresh
        self._told()
        self.take_catalog(self._feed.table)
        return True

    async def _admit_newcomers(self) -> None:
        """Gives vectors to items that are new in the catalog; until then the fresh source alone proposes them."""
        serving, items = self.current, self._feed.table
        if items.ids is serving.placed:
            return
        retriever = serving.retriever
        tower = await asyncio.to_thread(with_newcomers, serving.fitted, serving.content, items, retriever.index)
        models = replace(retriever.models, tower=tower)
        self.current = replace(
            serving, retriever=Retriever(models, retriever.index, self._feed.table, retriever.config), placed=items.ids
        )

    def close(self) -> None:
        """Closes every index; nothing may be asked afterwards."""
        self._retire(self.current)
        self._close_retired()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._settings.poll_seconds)
            # The boundary of the background work: the registry may be away for a while.
            try:
                await self.refresh()
            except Exception:
                log.exception("the registry cannot be asked")

    def _behind(self) -> bool:
        found = {name: self._registry.version_of(name) for name in MODEL_NAMES}
        return all(found.values()) and found != dict(self.current.versions)

    def _index_lost(self) -> bool:
        """True when a server is away, or came back without the points it was given."""
        index, points = self.current.retriever.index, self.current.fitted.item_ids.size
        try:
            return index.remote and index.count() < points
        except Unavailable:
            return True

    def _loaded(self, items: ItemTable) -> Serving:
        found = self._resolved()
        models = load_models({name: version.folder for name, version in found.items()})
        tower = found["two_tower"]
        content = load_content(tower.folder)
        index = serve_index(self._index_url, tower.folder, models.tower, items)
        known = replace(models, tower=with_newcomers(models.tower, content, items, index))
        retriever = Retriever(known, index, items, self._settings.sources)
        _warm(retriever)
        versions = {name: version.version for name, version in found.items()}
        log.info("champions loaded", **versions, vectors=index.count(), items=len(items))
        created_at = {name: version.manifest.lineage.get("created_at", "") for name, version in found.items()}
        return Serving(retriever, versions, created_at, models.tower, content, items.ids)

    def _resolved(self) -> dict[str, RegisteredVersion]:
        try:
            return {name: self._registry.resolve(name, CHAMPION) for name in MODEL_NAMES}
        except DamagedArtifact as error:
            raise SettingsError(str(error)) from error

    def _told(self) -> None:
        for name, version in self.current.versions.items():
            model_loaded("retrieval", name, version, self.current.created_at[name])

    def _retire(self, serving: Serving) -> None:
        for name, version in serving.versions.items():
            model_retired("retrieval", name, version)
        # Requests that began before the swap may still search the index: closed at the next poll.
        self._retired.append(serving.retriever.index)

    def _close_retired(self) -> None:
        while self._retired:
            self._retired.pop().close()


def _warm(retriever: Retriever) -> None:
    history = retriever.models.co_visitation.item_ids[:5]
    users = (UserState(0), UserState(1, history=history, history_times=np.arange(history.size), seen=history))
    for call in range(_WARM_UP_CALLS):
        retriever.retrieve(users[call % 2], 500)
