"""A key and a clock in one line."""

from __future__ import annotations

from typing import Any

from services.llm.admission.keys import VirtualKey


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def key_of(name: str = "web", **fields: Any) -> VirtualKey:
    """A key of the tenant "shop"."""
    return VirtualKey.model_validate({"name": name, "tenant": "shop", **fields})
