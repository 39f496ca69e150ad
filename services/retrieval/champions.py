"""What serves now: the registry's champions and challengers over the current catalog, swapped whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from models.items import ItemTable
from services.retrieval.housekeeping import Housekeeping
from services.retrieval.leases import Leases
from services.retrieval.loading import MODEL_NAMES, IndexHome
from services.retrieval.mending import Mending
from services.retrieval.served import Loader, Serving, Versions
from services.retrieval.settings import RetrievalSettings
from services.runtime.errors import CascadeError, InvalidArgument, NotFound, Unavailable
from services.runtime.itemfeed import ItemFeed
from services.runtime.logs import get_logger
from services.runtime.metrics import ITEMS, model_loaded, model_retired
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.runtime.setbacks import Setbacks

RETRY_SECONDS = 10.0
"""Pause after versions could not be loaded."""
SETTLE_SECONDS = 0.1
"""The three models move one alias after the other: they have moved when a second look finds the same."""

log = get_logger("champions")


class Champions:
    """Follows the registry and the item feed. `current` and `challenger` are replaced, never changed.

    The champions before these stay in memory, so that a rollback takes no longer than a poll.
    """

    def __init__(self, registry: Registry, feed: ItemFeed, settings: RetrievalSettings) -> None:
        self._registry, self._feed, self._poll_seconds = registry, feed, settings.poll_seconds
        home = IndexHome(
            settings.index_url or f"edge://{(settings.data_dir / 'index').absolute()}", settings.collection_prefix
        )
        self._loader = Loader(registry, home, settings.sources)
        self._housekeeping = Housekeeping(registry, home)
        self._leases = Leases()
        self._setbacks = Setbacks(RETRY_SECONDS)
        self._mending = Mending(self._loader, self._setbacks)
        self.current = self._loader.load(dict.fromkeys(MODEL_NAMES, CHAMPION), feed.table)
        self.challenger: Serving | None = None
        self._previous: Serving | None = None
        self._told: set[tuple[str, str]] = set()
        self._tell()

    @classmethod
    @asynccontextmanager
    async def following(
        cls, registry: Registry, feed: ItemFeed, settings: RetrievalSettings
    ) -> AsyncIterator[Champions]:
        """Champions that are loaded, warm, and followed until the block ends; challengers come with the first poll."""
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

    @contextmanager
    def serving(self, model: str = "") -> Iterator[Serving]:
        """The models a request asks for, "" or champion, or challenger; they stay usable while the block runs.

        NotFound while there is no challenger.
        """
        chosen = self.current if model in ("", CHAMPION) else self.challenger
        if model not in ("", CHAMPION, CHALLENGER):
            raise InvalidArgument(f"model must be {CHAMPION} or {CHALLENGER}, not {model!r}.", field="model")
        if chosen is None:
            raise NotFound("Retrieval has no challenger in memory.", field="model")
        with self._leases.on(chosen.retriever.index):
            yield chosen

    def serves(self, name: str, version: str) -> bool:
        """Whether a request can get this version of a model right now."""
        return (name, version) in self._told

    def take_catalog(self, items: ItemTable) -> None:
        """Serves over a newer item table from now on."""
        self.current = self.current.over(items)
        self.challenger = self.challenger and self.challenger.over(items)
        ITEMS.labels("retrieval").set(len(items))

    async def refresh(self) -> bool:
        """Follows aliases, index and catalog once; True when what serves was swapped.

        Versions that cannot be loaded change nothing; they are told of once and tried again after a while.
        """
        await self._close_free()
        swapped = await self._follow_aliases()
        swapped = await self._refill() or swapped
        await self._admit_newcomers()
        indexes = [serving.retriever.index for serving in self._kept()]
        await asyncio.to_thread(self._housekeeping.follow, self.current.retriever.index, indexes)
        return swapped

    def close(self) -> None:
        """Closes every index; nothing may be asked afterwards."""
        for serving in self._kept():
            self._leases.retire(serving.retriever.index)
        for index in self._leases.take_free():
            index.close()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            # The boundary of the background work: registry and index may be away for a while.
            try:
                await self.refresh()
            except CascadeError as error:
                if self._setbacks.failed("refresh", error.sentence):
                    log.warning("models not refreshed", reason=error.sentence)
            except Exception:
                log.exception("models not refreshed")

    async def _follow_aliases(self) -> bool:
        wanted = await asyncio.to_thread(self._aliased)
        if CHAMPION not in wanted or wanted == self._served():
            return False
        await asyncio.sleep(SETTLE_SECONDS)
        if wanted != await asyncio.to_thread(self._aliased):
            return False
        # The champion does not wait for a challenger to load.
        champion = await self._having(wanted[CHAMPION])
        swapped = champion is not None and self._swap(champion, self.challenger)
        challenger = await self._having(wanted[CHALLENGER]) if CHALLENGER in wanted else None
        return self._swap(self.current, challenger) or swapped

    def _aliased(self) -> dict[str, Versions]:
        """The versions of each alias that all three models have; none while the registry is away. Blocks."""
        try:
            aliases = {name: self._registry.aliases(name) for name in MODEL_NAMES}
        except Unavailable as error:
            if self._setbacks.failed("registry", error.sentence):
                log.warning("the registry is away; what serves stays", reason=error.sentence)
            return {}
        self._setbacks.worked("registry")
        return {
            alias: {name: aliases[name][alias] for name in MODEL_NAMES}
            for alias in (CHAMPION, CHALLENGER)
            if all(alias in aliases[name] for name in MODEL_NAMES)
        }

    def _served(self) -> dict[str, Versions]:
        served = {CHAMPION: self.current.versions}
        return served if self.challenger is None else served | {CHALLENGER: self.challenger.versions}

    def _kept(self) -> list[Serving]:
        return [serving for serving in (self.current, self.challenger, self._previous) if serving is not None]

    async def _having(self, versions: Versions) -> Serving | None:
        """What serves these versions: in memory already, or loaded now; None when they cannot be loaded."""
        for serving in self._kept():
            if serving.versions == versions:
                return await self._mending.placed(serving, self._feed.table)
        key = tuple(sorted(versions.items()))
        if self._setbacks.resting(key):
            return None
        # Files that somebody else wrote can be broken in any way; what serves must not go with them.
        try:
            serving = await asyncio.to_thread(self._loader.load, versions, self._feed.table, self._kept())
        except Exception as error:
            reason = error.sentence if isinstance(error, CascadeError) else repr(error)
            if self._setbacks.failed(key, reason):
                log.error("models cannot be loaded", **versions, reason=reason)
            return None
        self._setbacks.worked(key)
        log.info("models loaded", **versions, vectors=serving.fitted.item_ids.size)
        return serving

    def _swap(self, champion: Serving, challenger: Serving | None, previous: Serving | None = None) -> bool:
        """From now on these serve; True when other versions do. On the event loop, so a request sees all of it.

        `previous` takes the place of the champions before, unless the champions of now become those.
        """
        served, kept, items = self._served(), self._kept(), self._feed.table
        moved = champion.versions != self.current.versions
        self._previous = self.current if moved else previous or self._previous
        self.current, self.challenger = champion.over(items), challenger and challenger.over(items)
        if self._previous is not None and self._previous.versions in self._served().values():
            self._previous = None
        still = {serving.retriever.index for serving in self._kept()}
        for index in {serving.retriever.index for serving in kept} - still:
            self._leases.retire(index)
        self._tell()
        return served != self._served()

    def _tell(self) -> None:
        serving = [self.current] if self.challenger is None else [self.current, self.challenger]
        now = {(name, version): one.created_at[name] for one in serving for name, version in one.versions.items()}
        for name, version in self._told - now.keys():
            model_retired("retrieval", name, version)
        for (name, version), created_at in now.items():
            model_loaded("retrieval", name, version, created_at)
        self._told = set(now)

    async def _refill(self) -> bool:
        """Opens indexes anew whose server lost their points; True when there were any.

        The champions before these too: a rollback must find them whole.
        """
        kept = (self.current, self.challenger, self._previous)
        champion, challenger, previous = await self._mending.refilled(kept, self._feed.table)
        if not (champion or challenger or previous):
            return False
        self._swap(champion or self.current, challenger or self.challenger, previous)
        return True

    async def _admit_newcomers(self) -> None:
        """Gives vectors to items that are new in the catalog; until then the fresh source alone proposes them."""
        champion = await self._mending.placed(self.current, self._feed.table)
        if champion.placed is not self.current.placed:
            self.current = champion.over(self._feed.table)
        challenger = self.challenger and await self._mending.placed(self.challenger, self._feed.table)
        if challenger and self.challenger and challenger.placed is not self.challenger.placed:
            self.challenger = challenger.over(self._feed.table)

    async def _close_free(self) -> None:
        for index in self._leases.take_free():
            await asyncio.to_thread(index.close)
