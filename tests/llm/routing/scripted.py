"""A backend that breaks as it is told: what a router must live with."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import numpy as np
import numpy.typing as npt

from services.llm.backends.backend import Backend
from services.llm.calls import Completion, Generation, Message, Piece, Sampling, Usage
from services.llm.routing.breaker import BreakerConfig, State
from services.llm.routing.policy import RetryPolicy
from services.llm.routing.route import ModelRoute, Target
from services.llm.routing.router import Router, open_router

QUICK = RetryPolicy(attempts=3, first_pause_seconds=0.001, longest_pause_seconds=0.002)
WORDS = 4
HANG = "hang"


@dataclass(frozen=True, slots=True)
class Breaks:
    """A stream that fails after so many pieces; a whole answer fails at once."""

    after: int
    error: Exception


Step = Exception | Breaks | str
"""What happens with a call: it fails, breaks on the way, or hangs until it is cancelled."""


@dataclass
class Scripted:
    """Each call takes the next step of the script; without one it is answered with words that name the backend."""

    name: str
    steps: deque[Step] = field(default_factory=deque)
    calls: int = 0
    open: int = 0
    most_open: int = 0
    closed: bool = False
    models: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    ticks: int = 0
    """Turns of the loop before each piece."""

    async def complete(self, request: Generation, timeout: float) -> Completion:
        """All the words."""
        pieces = [piece async for piece in self.stream(request, timeout)]
        return Completion("".join(piece.text for piece in pieces), "stop", Usage(1, WORDS))

    async def stream(self, request: Generation, timeout: float) -> AsyncGenerator[Piece, None]:
        """A word a piece."""
        step = self._begin(request.model, timeout)
        try:
            if step == HANG:
                await asyncio.Event().wait()
            for place in range(WORDS):
                for _ in range(self.ticks):
                    await asyncio.sleep(0)
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Breaks) and step.after == place:
                    raise step.error
                yield Piece(f"{self.name}-{place} ")
            yield Piece(finish_reason="stop", usage=Usage(1, WORDS))
        finally:
            self.open -= 1

    async def embed(self, model: str, texts: Sequence[str], timeout: float) -> tuple[npt.NDArray[np.float32], int]:
        """The same direction for each."""
        step = self._begin(model, timeout)
        self.open -= 1
        if isinstance(step, Exception):
            raise step
        return np.ones((len(texts), 1), np.float32), len(texts)

    async def ready(self) -> bool:
        """Unless closed."""
        return not self.closed

    async def close(self) -> None:
        """Remembered."""
        self.closed = True

    def _begin(self, model: str, timeout: float) -> Step | None:
        self.calls += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.models.append(model)
        self.seconds.append(timeout)
        return self.steps.popleft() if self.steps else None


@dataclass
class Noted:
    """Everything an observer is told, in order."""

    told: list[tuple[object, ...]] = field(default_factory=list)

    def attempted(self, model: str, backend: str, seconds: float, error: BaseException | None) -> None:
        self.told.append(("attempted", model, backend, type(error).__name__ if error else "ok"))

    def retried(self, model: str, backend: str) -> None:
        self.told.append(("retried", model, backend))

    def fell_back(self, model: str, to: str) -> None:
        self.told.append(("fell_back", model, to))

    def broke(self, backend: str, state: State) -> None:
        self.told.append(("broke", backend, state))

    def matched(self, model: str, backend: str, characters: int) -> None:
        self.told.append(("matched", model, backend, characters))


def scripted(**steps: Iterable[Step]) -> dict[str, Scripted]:
    """Backends by name, each with its script."""
    return {name: Scripted(name, deque(script)) for name, script in steps.items()}


def route(*names: str, fallbacks: tuple[str, ...] = (), **options: object) -> ModelRoute:
    """A model that scripted backends serve."""
    targets = tuple(Target(f"openai://{name}/v1", label=name, **options) for name in names)  # type: ignore[arg-type]
    return ModelRoute(targets, fallbacks, QUICK)


@asynccontextmanager
async def routing(
    models: Mapping[str, ModelRoute],
    backends: Mapping[str, Scripted],
    observer: Noted | None = None,
    breaker: BreakerConfig | None = None,
) -> AsyncIterator[Router]:
    """A router over scripted backends; no call may be on its way any more when the block ends."""

    def opener(url: str, _opening: object) -> Backend:
        return backends[url.removeprefix("openai://").removesuffix("/v1")]

    async with open_router(models, observer=observer, breaker=breaker, opener=opener, random=Random(1)) as router:
        yield router
        assert {name: state.in_flight for name, state in router.states().items()} == dict.fromkeys(router.states(), 0)
    assert all(backend.open == 0 for backend in backends.values())


def call(model: str = "m", text: str = "Name a film.") -> Generation:
    """A greedy chat."""
    return Generation(model, (Message("user", text),), sampling=Sampling(temperature=0.0))
