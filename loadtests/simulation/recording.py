"""What is kept of a simulation: one line of JSON a round, one file a cell, there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Page:
    """One user's page of one round."""

    user: int
    """Row in the world."""
    expected: float
    """Expected clicks, without noise."""
    possible: float
    """Expected clicks of the best page that could have been made of what this user was not shown yet."""
    clicks: int = 0
    likes: int = 0
    served_by: str = "fresh"
    """As the answer says: fresh, cache or fallback; `failed` when there was none."""
    degraded: tuple[str, ...] = ()
    """Stages that were replaced."""
    explored: int = 0
    """Items shown to explore."""
    repeated: int = 0
    """Items shown although they had been, or were known to the system: they count as never clicked."""


@dataclass(frozen=True, slots=True)
class Learning:
    """One retraining between two rounds."""

    outcome: str
    """published, refused, nothing or failed."""
    seconds: float
    """Of the run itself."""
    click_to_served: float | None = None
    """Seconds from the round's last click to the moment the new models served."""
    said: str = ""
    """Its last line: why it was refused."""
    versions: dict[str, str] = field(default_factory=dict)
    """What was published."""


@dataclass(frozen=True, slots=True)
class Round:
    """All pages of one round, and what came after it."""

    turn: int
    pages: tuple[Page, ...]
    seconds: float = 0.0
    """To ask for all pages and post what came of them."""
    flush_seconds: float | None = None
    """From the last answer until everything was in the lake."""
    missing: int = 0
    """Pages and events that did not reach the lake in time."""
    coverage: float = 0.0
    """Share of the catalog that was shown to somebody."""
    diversity: float = 0.0
    """1 - mean Jaccard similarity of the genres of two items of a page."""
    novelty: float = 0.0
    """Mean -log2 of an item's share of all that the system knew at the start."""
    learning: Learning | None = None


def write(path: Path, rounds: Sequence[Round]) -> None:
    """Replaces the file of a cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text("".join(json.dumps(asdict(one)) + "\n" for one in rounds))
    os.replace(draft, path)


def read(path: Path) -> list[Round]:
    """The rounds of a cell; FileNotFoundError when it is not done."""
    return [_round(json.loads(line)) for line in path.read_text().splitlines()]


def _round(kept: dict[str, Any]) -> Round:
    pages = tuple(Page(**{**page, "degraded": tuple(page["degraded"])}) for page in kept.pop("pages"))
    learning = kept.pop("learning")
    return Round(pages=pages, learning=Learning(**learning) if learning else None, **kept)
