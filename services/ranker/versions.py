"""The versions of the ranker in memory: which serve, and how they change while requests go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from models.artifact import DamagedArtifact
from models.ranking import Ranker, load_ranker
from models.user import UserState
from services.ranker.scoring import score_candidates
from services.runtime.errors import CascadeError, NotFound, SettingsError
from services.runtime.itemfeed import ItemFeed
from services.runtime.logs import get_logger
from services.runtime.metrics import model_loaded, model_retired
from services.runtime.registry import CHALLENGER, CHAMPION, RegisteredVersion, Registry

MODEL = "ranker"
WARM_ROWS = (1, 500, 1000)
log = get_logger("ranker")


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version that can score."""

    version: str
    ranker: Ranker
    created_at: str = ""
    """When it was trained, RFC 3339; empty when its manifest does not say."""


def require_champion(registry: Registry) -> None:
    """SettingsError, saying what to do, when the registry has no champion to serve. Blocks."""
    if registry.version_of(MODEL, CHAMPION) is None:
        raise SettingsError(
            "The registry has no champion of 'ranker'. Train one first: python -m services.trainer train"
        )


class Versions:
    """Champion, challenger and the few that were so before, by alias or version number.

    `refresh` swaps whole mappings, so a request that already chose its version is never disturbed.
    """

    def __init__(self, registry: Registry, feed: ItemFeed, kept: int) -> None:
        self._registry = registry
        self._feed = feed
        self._kept = kept
        self._loaded: Mapping[str, LoadedVersion] = {}
        self._aliases: Mapping[str, str] = {}

    def choose(self, model: str) -> LoadedVersion:
        """The version a request asks for: "" or "champion", "challenger", or a number. NotFound when not in memory."""
        version = self._aliases.get(model or CHAMPION, model)
        try:
            return self._loaded[version]
        except KeyError:
            have = ", ".join([*self._aliases, *self._loaded]) or "none"
            raise NotFound(
                f"The ranker has no model {model or CHAMPION!r} in memory, only: {have}.", field="model"
            ) from None

    def listed(self) -> list[tuple[RegisteredVersion, bool]]:
        """Every version of the registry, newest first, and whether it is in memory. Blocks."""
        return [(found, found.version in self._loaded) for found in self._registry.versions(MODEL)]

    def start(self) -> None:
        """Loads the champion and the challenger, warm. SettingsError when there is no champion that works. Blocks."""
        require_champion(self._registry)
        try:
            self.refresh()
        except DamagedArtifact as error:
            raise SettingsError(f"The champion of 'ranker' cannot be loaded. {error}") from error

    def refresh(self) -> bool:
        """Follows the registry's aliases; True when there is a champion. Blocks: call it in a thread.

        Without a champion in the registry, which also happens while the registry cannot be reached, all stays.
        """
        champion = self._registry.version_of(MODEL, CHAMPION)
        if champion is None:
            return False
        aliases = {CHAMPION: champion}
        fresh = {champion: self._load(champion)}
        challenger = self._registry.version_of(MODEL, CHALLENGER)
        if challenger is not None:
            try:
                fresh[challenger] = self._load(challenger)
                aliases[CHALLENGER] = challenger
            except DamagedArtifact as error:
                log.warning("challenger not loaded", version=challenger, reason=str(error))
        if aliases != self._aliases:
            older = {version: loaded for version, loaded in self._loaded.items() if version not in fresh}
            self._swap(aliases, dict([*fresh.items(), *older.items()][: self._kept]))
        return True

    def _load(self, version: str) -> LoadedVersion:
        if version in self._loaded:
            return self._loaded[version]
        found = self._registry.resolve(MODEL, version)
        ranker = load_ranker(found.folder)
        for count in WARM_ROWS:
            ids = self._feed.table.ids[:count]
            score_candidates(ranker, self._feed.table, UserState(0), ids, None, at_ms=0)
        return LoadedVersion(version, ranker, found.manifest.lineage.get("created_at", ""))

    def _swap(self, aliases: Mapping[str, str], loaded: Mapping[str, LoadedVersion]) -> None:
        for version in self._loaded.keys() - loaded.keys():
            model_retired("ranker", MODEL, version)
        for version, known in loaded.items():
            model_loaded("ranker", MODEL, version, known.created_at)
        # Loaded first: a name that `choose` resolves must have its version.
        self._loaded = {**self._loaded, **loaded}
        self._aliases = aliases
        self._loaded = loaded
        log.info("models", aliases=dict(aliases), loaded=list(loaded))


async def keep_fresh(versions: Versions, every_s: float) -> None:
    """Refreshes until cancelled. A version that cannot be loaded is logged and tried again; the others serve on."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await asyncio.to_thread(versions.refresh)
        except (CascadeError, DamagedArtifact) as error:
            log.warning("models not refreshed", reason=str(error))
