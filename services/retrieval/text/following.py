"""The text index beside a catalog that changes: built in a thread after the start, and kept up with.

async with FollowedText.beside(feed, settings) as text:
    text.search("bank robbery", 50, Where())        # Unavailable until it is built
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from models.items import ItemTable
from services.retrieval.settings import RetrievalSettings
from services.retrieval.text.document import documents_of
from services.retrieval.text.index import Found, TextIndex
from services.retrieval.text.opening import open_text_store
from services.retrieval.text.store import Where
from services.runtime.encoder import load_encoder
from services.runtime.errors import CascadeError, Unavailable
from services.runtime.itemfeed import ItemFeed
from services.runtime.logs import get_logger
from services.runtime.setbacks import Setbacks

BETWEEN_SECONDS = 1.0
"""Changes that come meanwhile are taken together."""
LOOK_SECONDS = 5.0
"""Between two looks at whether the store still holds what it was given: a server may start anew, and empty."""
RETRY_SECONDS = 10.0
FOLDER = "text-index"

log = get_logger("text_index")


class FollowedText:
    """Answers from what it has; a start never waits for it."""

    def __init__(self, settings: RetrievalSettings) -> None:
        self._settings = settings
        self._index: TextIndex | None = None
        self._built = False
        self._closed = False
        self._opening = threading.Lock()
        self._wanted: ItemTable | None = None
        self._changed = asyncio.Event()
        self._setbacks = Setbacks(RETRY_SECONDS)

    @classmethod
    @asynccontextmanager
    async def beside(cls, feed: ItemFeed, settings: RetrievalSettings) -> AsyncIterator[FollowedText]:
        """Follows the feed until the block ends."""
        text = cls(settings)
        feed.on_change(text._take)
        task = asyncio.create_task(text._follow_forever())
        try:
            yield text
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.to_thread(text._close)

    def search(self, text: str, n: int, where: Where) -> Found:
        """The n best, from any thread; Unavailable while the index is being built."""
        if self._index is None or not self._built:
            raise Unavailable("The text index is being built.")
        return self._index.search(text, n, where)

    def _take(self, table: ItemTable) -> None:
        """Titles and genres are what counts: tables that differ in numbers alone share their lists."""
        if self._wanted is None or table.titles is not self._wanted.titles:
            self._changed.set()
        self._wanted = table

    async def _follow_forever(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_SECONDS)
            changed = self._changed.is_set()
            self._changed.clear()
            try:
                await asyncio.to_thread(self._mend)
                if changed:
                    await asyncio.to_thread(self._follow, self._wanted)
            except CascadeError as error:
                if self._setbacks.failed("text", error.sentence):
                    log.warning("the text index does not follow", reason=error.sentence)
                if changed:
                    self._changed.set()
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._setbacks.worked("text")
            await asyncio.sleep(BETWEEN_SECONDS)

    def _mend(self) -> None:
        if self._index is not None and (written := self._index.mend()):
            log.warning("filled again", documents=written)

    def _follow(self, table: ItemTable | None) -> None:
        if table is None or not len(table):
            return
        with self._opening:
            if self._closed:
                return
            self._index = self._index or self._opened()
        changed = self._index.follow(documents_of(table))
        if not self._built:
            log.info("built", documents=changed)
        self._built = True

    def _close(self) -> None:
        """A thread that still works ends with its batch; it outlives the task that waits for it."""
        with self._opening:
            self._closed = True
        if self._index is not None:
            self._index.close()

    def _opened(self) -> TextIndex:
        settings = self._settings
        encoder = load_encoder()
        folder = (settings.data_dir / FOLDER).absolute()
        vectors: Path | None = folder.with_suffix(".npz")
        url = settings.text_index_url
        if not url and settings.index_url and not settings.index_url.startswith("edge"):
            url, vectors = f"{settings.index_url.rstrip('/')}/{settings.collection_prefix}_text", None
        return TextIndex(open_text_store(url or f"edge://{folder}", encoder.dimensions), encoder, vectors)
