"""The published champions under P1: what they knew, and the ranks they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.trainer.catalog import item_table
from services.trainer.data.interactions import Interactions
from services.trainer.funnel import Funnel, Ranks
from services.trainer.moment import Moment
from services.trainer.pipeline import RETRIEVAL


def known_at_training(registry: Registry, lake: Path) -> Interactions:
    """The events that the champions were fitted on and tested with: what happened since is no test of them."""
    lineage = registry.resolve("two_tower").manifest.lineage
    # A continuous run leaves out what the full run it descends from was tested with.
    return Interactions.load(lake, datetime.fromisoformat(lineage.get("full_at") or lineage["created_at"]))


def served_ranks(
    registry: Registry,
    interactions: Interactions,
    scratch: Path,
    advance: Callable[[int, int], None],
    moments: Sequence[Moment],
) -> Ranks:
    """Ranks by the registry's champions, and by its challenger if there is one."""
    for name in RETRIEVAL:
        (scratch / name).symlink_to(registry.resolve(name).folder)
    rankers: dict[str, Path] = {}
    for alias in (CHAMPION, CHALLENGER):
        if registry.version_of("ranker", alias) is not None:
            found = registry.resolve("ranker", alias)
            rankers.setdefault(found.manifest.kind, found.folder)
    known = interactions.leave_last(1)
    table = item_table(known.items, known.events_frame())
    return Funnel(scratch, table, rankers).ranks(moments, advance)
