"""One visit as a client keeps it: what it asks, what answers must hold, what it posts. Pure; the caller talks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

from loadtests.population import Act

MAX_PAGES = 20
"""Pages of the longest visit."""
_ENDS_ITEM = frozenset({"watch", "hide"})
"""After these the item has no business in the same visit's lists."""


@dataclass(slots=True)
class Visit:
    """A user between coming and leaving."""

    user_id: str
    session_id: str
    draw: Random
    stays: float = 0.7
    """Probability that another page follows a page."""
    gone: set[str] = field(default_factory=set)
    """Items watched or hidden in this visit, once the gateway has acknowledged it."""

    @classmethod
    def start(cls, user_id: str, draw: Random) -> Visit:
        """A visit with an id of its own."""
        return cls(user_id, uuid4().hex, draw)

    def pages(self) -> Iterable[int]:
        """Page numbers until the visitor has enough; at least one."""
        for page in range(1, MAX_PAGES + 1):
            yield page
            if self.draw.random() >= self.stays:
                return

    def ask(self, n: int) -> dict[str, Any]:
        """Body of POST /v1/recommendations."""
        return {"user_id": self.user_id, "session_id": self.session_id, "surface": "home", "n": n}

    def events(self, acts: Iterable[Act], recommendation_id: str) -> dict[str, Any]:
        """Body of POST /v1/events."""
        return {
            "events": [
                {
                    # Not from the draw: a second run with the same seed would post nothing but duplicates.
                    "event_id": uuid4().hex,
                    "type": act.type,
                    "user_id": self.user_id,
                    "session_id": self.session_id,
                    "item_id": act.item_id,
                    "recommendation_id": recommendation_id,
                    "position": act.position,
                }
                | ({} if act.value is None else {"value": act.value})
                for act in acts
            ]
        }

    def acknowledged(self, acts: Iterable[Act]) -> None:
        """The gateway took these: from now on it must not show what they ended."""
        self.gone |= {act.item_id for act in acts if act.type in _ENDS_ITEM}

    def fault(self, items: Iterable[Mapping[str, Any]], n: int) -> str | None:
        """What is wrong with a list, as a sentence without ids, so that faults of one kind are counted as one."""
        shown = [item["item_id"] for item in items]
        if len(shown) != n:
            return f"{len(shown)} items instead of {n}."
        if len(set(shown)) != n:
            return "An item is in the list twice."
        if self.gone & set(shown):
            return "An item that was watched or hidden in this visit is shown again."
        return None
