"""From a model's name to an answer: its backends, then its fallbacks.

async with open_router({"small": ModelRoute((Target("openai://host/v1"),), fallbacks=("template",)), …}) as router:
    routed = await router.complete(generation, timeout=30)
    routed.value, routed.model, routed.backend
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from services.llm.backends.backend import Backend
from services.llm.backends.opening import Opening, open_backend
from services.llm.calls import Completion, Generation, Piece
from services.llm.routing.affinity import PrefixIndex
from services.llm.routing.breaker import BreakerConfig
from services.llm.routing.observer import Observer, Unobserved
from services.llm.routing.origin import Origin
from services.llm.routing.policy import PASSING
from services.llm.routing.route import ModelRoute, Target, checked
from services.llm.routing.seats import BackendState, Lease, Member, Seat
from services.llm.routing.stream import RoutedStream, begun, close
from services.llm.routing.tries import Ask, ModelSeats
from services.runtime.errors import CascadeError, NotFound

KEPT_SHARE = 0.1
"""Of a call's time, kept for each model of the chain that has not been asked yet."""

Value = TypeVar("Value")
Vectors = tuple[npt.NDArray[np.float32], int]
Opener = Callable[[str, Opening], Backend]


@dataclass(frozen=True, slots=True)
class Routed(Generic[Value]):
    """An answer, and where it came from."""

    value: Value
    model: str
    """The one of the chain that answered."""
    backend: str
    tries: int
    """It took, over all models of the chain."""


@asynccontextmanager
async def open_router(
    models: Mapping[str, ModelRoute],
    *,
    breaker: BreakerConfig | None = None,
    observer: Observer | None = None,
    opener: Opener = open_backend,
    random: Random | None = None,
) -> AsyncIterator[Router]:
    """Opens each backend once, however many models name it, and closes them all. SettingsError for a wrong route."""
    targets = {target.name: target for route in checked(models).values() for target in route.targets}
    async with AsyncExitStack() as stack:
        backends: dict[str, Backend] = {}
        for name, target in targets.items():
            backends[name] = opener(target.url, target.opening)
            stack.push_async_callback(backends[name].close)
        yield Router(models, backends, breaker or BreakerConfig(), observer or Unobserved(), random or Random())


class Router:
    """Retries happen only before the first piece of a stream, at another backend where there is one."""

    def __init__(
        self,
        models: Mapping[str, ModelRoute],
        backends: Mapping[str, Backend],
        breaker: BreakerConfig,
        observer: Observer,
        random: Random,
    ) -> None:
        """`backends` are open, by the name of their target."""
        self._observer, self._members = observer, dict[str, Member]()
        for route in models.values():
            for target in route.targets:
                name, most = target.name, target.max_in_flight
                self._members.setdefault(name, Member(name, backends[name], most, breaker, observer.broke))
        self._models = {
            name: ModelSeats(
                name, route, [self._seat(name, route, target) for target in route.targets], observer, random
            )
            for name, route in models.items()
        }

    async def complete(self, request: Generation, timeout: float) -> Routed[Completion]:
        """The whole answer within `timeout` seconds. NotFound for a name that is no model."""

        async def ask(backend: Backend, model: str, seconds: float) -> Completion:
            return await backend.complete(_told(request, model), seconds)

        return await self._whole(self._chain(request.model), ask, request, timeout)

    async def embed(self, model: str, texts: Sequence[str], timeout: float) -> Routed[Vectors]:
        """Vectors of length one, float32 [texts, dimensions], and the tokens read, from this model and no other."""

        async def ask(backend: Backend, name: str, seconds: float) -> Vectors:
            return await backend.embed(name, texts, seconds)

        return await self._whole(self._chain(model)[:1], ask, None, timeout)

    def stream(self, request: Generation, timeout: float) -> RoutedStream:
        """The answer as it comes: the first piece within `timeout` seconds, then no longer silence than that."""
        origin = Origin()
        return RoutedStream(self._pieces(request, timeout, origin), origin)

    def models(self) -> tuple[str, ...]:
        """The names that can be asked for."""
        return tuple(self._models)

    def states(self) -> dict[str, BackendState]:
        """Each backend by its name, for health and metrics."""
        return {name: member.state() for name, member in self._members.items()}

    async def ready(self) -> dict[str, bool]:
        """Which backends would take a call now; asks them all at once."""
        answers = await asyncio.gather(*(member.backend.ready() for member in self._members.values()))
        return dict(zip(self._members, answers, strict=True))

    async def close(self) -> None:
        """Closes every backend; again does nothing."""
        await asyncio.gather(*(member.backend.close() for member in self._members.values()))

    async def _whole(
        self, chain: Sequence[ModelSeats], ask: Ask[Value], prompt: Generation | None, timeout: float
    ) -> Routed[Value]:
        origin = Origin()
        value, lease = await self._first_success(chain, ask, prompt, timeout, origin)
        lease.end()
        return Routed(value, origin.model, origin.backend, origin.tries)

    async def _pieces(self, request: Generation, timeout: float, origin: Origin) -> AsyncGenerator[Piece, None]:
        async def ask(backend: Backend, model: str, seconds: float) -> tuple[Piece, AsyncIterator[Piece]]:
            return await begun(backend.stream(_told(request, model), timeout), seconds)

        chain = self._chain(request.model)
        (first, rest), lease = await self._first_success(chain, ask, request, timeout, origin)
        lease.answered()
        try:
            try:
                yield first
                async for piece in rest:
                    yield piece
            finally:
                await close(rest)
        except BaseException as error:
            lease.end(error)
            raise
        lease.end()

    async def _first_success(
        self,
        chain: Sequence[ModelSeats],
        ask: Ask[Value],
        prompt: Generation | None,
        timeout: float,
        origin: Origin,
    ) -> tuple[Value, Lease]:
        """What the first model that can answers; when none can, the error of the first model of all is raised."""
        ends_at, kept = time.monotonic() + timeout, KEPT_SHARE * timeout
        refusal: CascadeError | None = None
        for place, model in enumerate(chain):
            if place:
                self._observer.fell_back(chain[0].name, model.name)
            try:
                return await model.first_success(ask, prompt, ends_at - kept * (len(chain) - 1 - place), origin)
            except CascadeError as error:
                # What a fallback cannot do, such as a schema, is no mistake of the caller.
                if place == 0 and not isinstance(error, PASSING):
                    raise
                refusal = refusal or error
        raise refusal or NotFound("No model was asked.", field="model")

    def _chain(self, name: str) -> list[ModelSeats]:
        model = self._models.get(name)
        if model is None:
            raise NotFound(
                f"There is no model {name[:100]!r}. Ask for one of: {', '.join(self._models)}.", field="model"
            )
        return [model, *(self._models[fallback] for fallback in model.route.fallbacks)]

    def _seat(self, model: str, route: ModelRoute, target: Target) -> Seat:
        member, prefixes = self._members[target.name], PrefixIndex(route.affinity.chunks_per_backend)
        member.prefixes.append(prefixes)
        return Seat(member, target.model or model, target.weight, prefixes)


def _told(request: Generation, model: str) -> Generation:
    return request if request.model == model else replace(request, model=model)
