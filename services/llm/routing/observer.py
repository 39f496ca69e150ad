"""What a router tells about its work, for metrics and logs."""

from __future__ import annotations

from typing import Protocol

from services.llm.routing.breaker import State


class Observer(Protocol):
    """Called on the request path: it must be quick and must not raise."""

    def attempted(self, model: str, backend: str, seconds: float, error: BaseException | None) -> None:
        """A try ended after `seconds`; that of a stream with its first piece. No error: it succeeded."""
        ...

    def retried(self, model: str, backend: str) -> None:
        """Another try begins, at this backend."""
        ...

    def fell_back(self, model: str, to: str) -> None:
        """The model that was asked for could not answer, so another one is asked."""
        ...

    def broke(self, backend: str, state: State) -> None:
        """A breaker has changed its state."""
        ...

    def matched(self, model: str, backend: str, characters: int) -> None:
        """A call went where so much of its beginning was read before."""
        ...


class Unobserved:
    """Nobody listens."""

    def attempted(self, model: str, backend: str, seconds: float, error: BaseException | None) -> None:
        """Not told on."""

    def retried(self, model: str, backend: str) -> None:
        """Not told on."""

    def fell_back(self, model: str, to: str) -> None:
        """Not told on."""

    def broke(self, backend: str, state: State) -> None:
        """Not told on."""

    def matched(self, model: str, backend: str, characters: int) -> None:
        """Not told on."""
