"""The rollout as the registry keeps it: one note, written before the aliases move: a crash between them is mended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from services.runtime.logs import get_logger
from services.runtime.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from services.trainer.rollout.aliases import MODELS, RANKER, Moves
from services.trainer.rollout.machine import CHAMPION as PROMOTED
from services.trainer.rollout.machine import ROLLED_BACK, Rollout

NOTE = "rollout"
TAG = "rollout"
"""Of a version: how far it came."""
ORDER = (PREVIOUS, CHAMPION, CHALLENGER)
"""Aliases of all models move together, one kind after the other: the champions of a release within milliseconds."""

log = get_logger("rollout")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the note holds."""

    rollout: Rollout | None = None
    """The one on its way, or the last one."""
    tally: Mapping[str, float] = field(default_factory=dict)
    """What was counted in its step so far."""
    moves: Moves = field(default_factory=dict)
    """Aliases that are about to move; empty once they have."""


class Ledger:
    """Reads and writes of the note, with the moves that belong to it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def read(self) -> Entry:
        """The note as it stands; an unreadable one counts as none."""
        text = self._registry.noted(RANKER, NOTE)
        if not text:
            return Entry()
        try:
            return _entry(json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            log.error("the note of the rollout cannot be read; it is left out", reason=str(error))
            return Entry()

    def settled(self) -> Entry:
        """The note once its moves are made: whoever was at them has finished, or was killed and is finished for."""
        entry = self.read()
        if entry.moves:
            with self.writing() as entry:
                pass
        return entry

    @contextmanager
    def writing(self) -> Iterator[Entry]:
        """The note, while nobody else writes; what a crash left half done is finished first."""
        with self._registry.exclusive():
            entry = self.read()
            if entry.moves:
                log.warning("moves of aliases that were interrupted are finished", moves=entry.moves)
                self._make(entry)
                entry = replace(entry, moves={})
            yield entry

    def keep(self, entry: Entry) -> None:
        """Writes a note without moves. Only inside `writing`."""
        self._registry.note(RANKER, NOTE, _text(entry))

    def commit(self, entry: Entry) -> None:
        """Writes the note, moves the aliases, says so. Only inside `writing`."""
        self._registry.note(RANKER, NOTE, _text(entry))
        self._make(entry)

    def aliases(self) -> dict[str, dict[str, str]]:
        """Every alias of every model."""
        return {name: self._registry.aliases(name) for name in MODELS}

    def champions(self) -> dict[str, str]:
        """What serves now."""
        return {name: found[CHAMPION] for name, found in self.aliases().items() if CHAMPION in found}

    def _make(self, entry: Entry) -> None:
        for alias in ORDER:
            for name, changes in entry.moves.items():
                if alias not in changes:
                    continue
                version = changes[alias]
                if version is None:
                    self._registry.remove_alias(name, alias)
                else:
                    self._registry.set_alias(name, alias, version)
        if entry.rollout is not None:
            for name, version in entry.rollout.challengers.items():
                self._registry.tag(name, version, TAG, _word(entry.rollout))
        self.keep(replace(entry, moves={}))


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def _word(rollout: Rollout) -> str:
    if rollout.stage == ROLLED_BACK:
        return f"rolled back: {rollout.reason}"
    return "promoted" if rollout.stage == PROMOTED else f"{rollout.stage} {rollout.share:g}"


def _text(entry: Entry) -> str:
    rollout = None if entry.rollout is None else asdict(entry.rollout)
    return json.dumps({"rollout": rollout, "tally": entry.tally, "moves": entry.moves}, separators=(",", ":"))


def _entry(kept: Mapping[str, Any]) -> Entry:
    rollout = None if kept["rollout"] is None else Rollout(**kept["rollout"])
    return Entry(rollout, kept["tally"], kept["moves"])
