"""Where an answer comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Origin:
    """Filled in while a call is on its way."""

    model: str = ""
    """The one of the chain that answers; empty until one does."""
    backend: str = ""
    tries: int = 0
    """So far, over all models of the chain."""
