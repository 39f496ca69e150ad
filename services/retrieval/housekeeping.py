"""The collections of a Qdrant server: an alias follows the champion's, and those of versions nobody serves go."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from services.retrieval.index import VectorIndex
from services.retrieval.index.qdrant import QdrantIndex
from services.retrieval.loading import IndexHome
from services.runtime.errors import Unavailable
from services.runtime.logs import get_logger
from services.runtime.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from services.runtime.setbacks import Setbacks

GRACE_SECONDS = 60.0
"""How long the served versions must stay as they are before any collection goes: other processes follow later."""
RETRY_SECONDS = 60.0
"""Pause after a server could not do what it was told."""

log = get_logger("housekeeping")


class Housekeeping:
    """Searches go to the collection of the loaded tower, never through the alias: vectors and index must agree.

    Nothing here is needed to serve, so a server that knows no aliases is told of once and served from all the same.
    """

    def __init__(self, registry: Registry, home: IndexHome, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry, self._home, self._clock = registry, home, clock
        self._setbacks = Setbacks(RETRY_SECONDS, clock)
        self._leading: QdrantIndex | None = None
        self._served: frozenset[str] = frozenset()
        self._sweep_at = math.inf

    def follow(self, champion: VectorIndex, served: Iterable[VectorIndex]) -> None:
        """Brings the server up to date with what this process serves. Blocks; never fails."""
        if not isinstance(champion, QdrantIndex):
            return
        collections = frozenset(index.collection for index in served if isinstance(index, QdrantIndex))
        if collections != self._served:
            self._served, self._sweep_at = collections, self._clock() + GRACE_SECONDS
        # By identity: an index that was opened anew is that of a server which may have lost its aliases too.
        if champion is not self._leading and self._done("alias", lambda: champion.lead(self._home.alias)):
            self._leading = champion
        if self._clock() >= self._sweep_at and self._done("sweep", lambda: self._sweep(champion)):
            self._sweep_at = math.inf

    def _sweep(self, champion: QdrantIndex) -> None:
        known = {
            self._home.collection_of(version.folder): version.aliases
            for version in self._registry.versions("two_tower")
        }
        kept = {name for name, aliases in known.items() if {CHAMPION, CHALLENGER, PREVIOUS}.intersection(aliases)}
        # Only what this registry published: another stack may keep collections on the same server.
        if gone := champion.drop(known.keys() - kept - self._served):
            log.info("collections dropped", collections=gone)

    def _done(self, what: str, do: Callable[[], None]) -> bool:
        if self._setbacks.resting(what):
            return False
        try:
            do()
        except Unavailable as error:
            if self._setbacks.failed(what, error.sentence):
                log.warning("the vector server could not be tidied; it serves all the same", reason=error.sentence)
            return False
        self._setbacks.worked(what)
        return True
