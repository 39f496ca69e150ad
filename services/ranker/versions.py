"""The versions of the ranker in memory: which serve, and how they change while requests go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from models.artifact import DamagedArtifact
from models.ranking import Ranker, load_ranker
from models.user import UserState
from services.ranker.scoring import score_candidates
from services.runtime.errors import NotFound, SettingsError
from services.runtime.itemfeed import ItemFeed
from services.runtime.logs import get_logger
from services.runtime.metrics import model_loaded, model_retired
from services.runtime.objectives import NOTE, noted_objectives
from services.runtime.registry import CHALLENGER, CHAMPION, PREVIOUS, RegisteredVersion, Registry
from services.runtime.setbacks import Setbacks

MODEL = "ranker"
ALIASES = (CHAMPION, CHALLENGER, PREVIOUS)
"""In the order in which their versions are kept when there is no room for all."""
WARM_ROWS = (1, 500, 1000)
RETRY_SECONDS = 30.0
"""Pause after a version could not be loaded."""
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


class InMemory(NamedTuple):
    """What serves at one moment; replaced as one, so that an alias always has its version."""

    aliases: Mapping[str, str]
    versions: Mapping[str, LoadedVersion]


class Versions:
    """Champion, challenger, the champion before, and the few that were so before them, by alias or version number.

    `refresh` swaps whole mappings, so a request that already chose its version is never disturbed.
    """

    def __init__(self, registry: Registry, feed: ItemFeed, kept: int) -> None:
        self._registry = registry
        self._feed = feed
        self._kept = kept
        self._now = InMemory({}, {})
        self._setbacks = Setbacks(RETRY_SECONDS)
        self.objectives: Mapping[str, float] = {}
        """What somebody weighed the heads by; empty when nobody did. Replaced as one."""

    def choose(self, model: str) -> LoadedVersion:
        """The version a request asks for: an alias, "" for the champion, or a number. NotFound when not in memory."""
        now = self._now
        try:
            return now.versions[now.aliases.get(model or CHAMPION, model)]
        except KeyError:
            have = ", ".join([*now.aliases, *now.versions]) or "none"
            raise NotFound(
                f"The ranker has no model {model or CHAMPION!r} in memory, only: {have}.", field="model"
            ) from None

    def listed(self) -> list[tuple[RegisteredVersion, bool]]:
        """Every version of the registry, newest first, and whether it is in memory. Blocks."""
        return [(found, found.version in self._now.versions) for found in self._registry.versions(MODEL)]

    def start(self) -> None:
        """Loads, warm, what has an alias. SettingsError when there is no champion that works. Blocks."""
        require_champion(self._registry)
        try:
            self.refresh()
        except DamagedArtifact as error:
            raise SettingsError(f"The champion of 'ranker' cannot be loaded. {error}") from error

    def refresh(self) -> bool:
        """Follows the registry's aliases and objectives; True when there is a champion. Blocks: call it in a thread.

        Without a champion in the registry all stays. Unavailable while the registry is away.
        """
        self._follow_objectives()
        found = self._registry.aliases(MODEL)
        wanted = {alias: found[alias] for alias in ALIASES if alias in found}
        if CHAMPION not in wanted:
            return False
        # The champion does not wait for the others to load; until they have, those before them answer.
        champion = wanted[CHAMPION]
        before = {alias: version for alias, version in self._now.aliases.items() if alias in wanted}
        self._serve({**before, CHAMPION: champion}, {champion: self._load(champion)})
        others = {version: self._tried(version) for version in wanted.values()}
        self._serve(wanted, {version: loaded for version, loaded in others.items() if loaded is not None})
        return True

    def _follow_objectives(self) -> None:
        try:
            wanted = noted_objectives(self._registry)
        except ValueError as error:
            if self._setbacks.failed(NOTE, str(error)):
                log.warning("objectives not read", reason=str(error))
            return
        self._setbacks.worked(NOTE)
        if wanted != self.objectives:
            log.info("objectives", weights=wanted)
            self.objectives = wanted

    def _serve(self, wanted: Mapping[str, str], fresh: Mapping[str, LoadedVersion]) -> None:
        having = {**self._now.versions, **fresh}
        aliases = {alias: version for alias, version in wanted.items() if version in having}
        if aliases != self._now.aliases:
            order = list(dict.fromkeys([*aliases.values(), *self._now.versions]))[: self._kept]
            self._swap(InMemory(aliases, {version: having[version] for version in order}))

    def _tried(self, version: str) -> LoadedVersion | None:
        """A version nobody depends on; None when it cannot be loaded, which is told once and tried again later."""
        if version not in self._now.versions and self._setbacks.resting(version):
            return None
        # Files that somebody else wrote can be broken in any way; what serves must not go with them.
        try:
            return self._load(version)
        except Exception as error:
            if self._setbacks.failed(version, str(error)):
                log.warning("version not loaded", version=version, reason=str(error))
            return None

    def _load(self, version: str) -> LoadedVersion:
        if version in self._now.versions:
            return self._now.versions[version]
        found = self._registry.resolve(MODEL, version)
        ranker = load_ranker(found.folder)
        for count in WARM_ROWS:
            ids = self._feed.table.ids[:count]
            score_candidates(ranker, self._feed.table, UserState(0), ids, None, at_ms=0)
        return LoadedVersion(version, ranker, found.manifest.lineage.get("created_at", ""))

    def _swap(self, fresh: InMemory) -> None:
        for version in self._now.versions.keys() - fresh.versions.keys():
            model_retired("ranker", MODEL, version)
        for version, known in fresh.versions.items():
            model_loaded("ranker", MODEL, version, known.created_at)
        self._now = fresh
        log.info("models", aliases=dict(fresh.aliases), loaded=list(fresh.versions))


async def keep_fresh(versions: Versions, every_s: float) -> None:
    """Refreshes until cancelled. A champion that cannot be loaded is told of once; the old one serves on."""
    setbacks = Setbacks(0.0)
    while True:
        await asyncio.sleep(every_s)
        # The boundary of the background work: registry and files may be in any state, and requests go on.
        try:
            await asyncio.to_thread(versions.refresh)
        except Exception as error:
            if setbacks.failed("refresh", str(error)):
                log.warning("models not refreshed", reason=str(error))
        else:
            setbacks.worked("refresh")
