"""What a pipeline gives back: an answer, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.llm.calls import Completion

Cache = Literal["", "exact", "semantic"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer."""

    completion: Completion
    model: str
    """The one of the chain that wrote it."""
    backend: str = ""
    """Where; empty for an answer out of a cache."""
    cache: Cache = ""
    """Which cache had it; empty: none."""

    @property
    def headers(self) -> dict[str, str]:
        """What REST tells of it beside OpenAI's body."""
        told = {"x-cascade-model": self.model, "x-cascade-backend": self.backend, "x-cascade-cache": self.cache}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class BackendShown:
    """A backend as health and gRPC show it."""

    url: str
    breaker: str
    in_flight: int


@dataclass(frozen=True, slots=True)
class ModelShown:
    """A model as health and gRPC show it."""

    name: str
    fallbacks: tuple[str, ...]
    backends: tuple[BackendShown, ...]
