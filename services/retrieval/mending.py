"""Keeps what is in memory fit to serve: points that a server lost, and vectors for items that came later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from models.items import ItemTable
from services.retrieval.served import Loader, Serving
from services.runtime.errors import CascadeError
from services.runtime.logs import get_logger
from services.runtime.setbacks import Setbacks

log = get_logger("champions")


class Mending:
    """Looks again and again, resting after a failure. It never fails: what cannot be mended now serves as it is."""

    def __init__(self, loader: Loader, setbacks: Setbacks) -> None:
        self._loader, self._setbacks = loader, setbacks

    async def refilled(self, servings: Sequence[Serving | None], items: ItemTable) -> list[Serving | None]:
        """For each, the same over an index that is whole again; None where it was, or cannot be mended now."""
        mended: list[Serving | None] = [None] * len(servings)
        for place, serving in enumerate(servings):
            if serving is None or self._setbacks.resting(key := ("index", serving.versions["two_tower"])):
                continue
            if not await asyncio.to_thread(serving.index_lost):
                continue
            try:
                mended[place] = await asyncio.to_thread(self._loader.reindexed, serving, items)
            except CascadeError as error:
                if self._setbacks.failed(key, error.sentence):
                    log.error("the vector index does not hold what it should", reason=error.sentence)
                # One wait for a server that is away is enough; the others have their turn while this one rests.
                break
            self._setbacks.worked(key)
            log.warning("the vector index was filled again", vectors=serving.fitted.item_ids.size, **serving.versions)
        return mended

    async def placed(self, serving: Serving, items: ItemTable) -> Serving:
        """The same with vectors for all items of the catalog; until then the fresh source alone proposes new ones."""
        key = ("newcomers", serving.versions["two_tower"])
        if serving.placed is items.ids or self._setbacks.resting(key):
            return serving
        try:
            placed = await asyncio.to_thread(serving.extended, items)
        except CascadeError as error:
            if self._setbacks.failed(key, error.sentence):
                log.warning("new items have no vectors yet", reason=error.sentence)
            return serving
        self._setbacks.worked(key)
        return placed
