"""One call in order: key, limits, budget, guardrails in, caches, route, settle, guardrails out.

caller = pipeline.caller(presented_key)
answered = await pipeline.complete(caller, generation)
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.llm.admission.admission import Admission, Admitted
from services.llm.admission.keys import VirtualKey
from services.llm.answered import Answered, BackendShown, ModelShown
from services.llm.caches.answers import Recorder, pieces
from services.llm.caches.caches import Caches
from services.llm.calls import Generation, Piece, Usage
from services.llm.config import LlmConfig
from services.llm.guardrails.guardrails import Guardrails
from services.llm.observed import Observed
from services.llm.routing.router import Router


class Pipeline:
    """What the wire calls. Everything it is made of can be used alone."""

    def __init__(
        self,
        config: LlmConfig,
        admission: Admission,
        guardrails: Guardrails,
        caches: Caches,
        router: Router,
        observed: Observed,
    ) -> None:
        self._config, self._admission, self._guardrails = config, admission, guardrails
        self._caches, self._router, self._observed = caches, router, observed

    def caller(self, presented: str) -> VirtualKey:
        """Whose key this is; Unauthenticated when it is nobody's."""
        return self._admission.caller(presented)

    async def complete(self, caller: VirtualKey, generation: Generation) -> Answered:
        """The whole answer."""
        started = time.perf_counter()
        generation = self._bounded(caller, generation)
        async with self._admission.admitted(caller, generation, self._chain(generation.model)) as admitted:
            request = self._guardrails.inbound(caller, generation)
            answered = await self._caches.answer(caller.tenant, request, self._routed)
            settle(admitted, answered)
        self._observed.completed(generation.model, answered, time.perf_counter() - started)
        completion = self._guardrails.outbound(caller).completion(answered.completion)
        return answered if completion is answered.completion else replace(answered, completion=completion)

    async def stream(self, caller: VirtualKey, generation: Generation) -> AsyncGenerator[Piece, None]:
        """The answer as it comes. What goes wrong before the first piece is raised by the first step."""
        generation = self._bounded(caller, generation)
        async with self._admission.admitted(caller, generation, self._chain(generation.model)) as admitted:
            request = self._guardrails.inbound(caller, generation)
            outbound = self._guardrails.outbound(caller)
            async with (
                aclosing(self._streamed(caller.tenant, request, admitted)) as raw,
                aclosing(outbound.pieces(raw)) as pieces_out,
            ):
                async for piece in pieces_out:
                    yield piece

    async def embed(self, caller: VirtualKey, model: str, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
        """Vectors of length one, float32 [texts, dimensions], and the tokens read."""
        reading = Generation(model, prompt="\n".join(texts))
        async with self._admission.admitted(caller, reading, [model]) as admitted:
            routed = await self._router.embed(model, texts, self._timeout(model))
            rows, tokens = routed.value
            admitted.answered(routed.model, Usage(tokens))
        return rows, tokens

    def models(self, caller: VirtualKey) -> list[str]:
        """Names that this caller may ask for."""
        return [name for name in self._router.models() if caller.models is None or name in caller.models]

    def usage(self, caller: VirtualKey) -> dict[str, Any]:
        """What this caller has used, and what is left of its budget."""
        return self._admission.usage(caller)

    def observe(self) -> None:
        """Brings the metrics up to now."""
        self._observed.update()

    def states(self) -> list[ModelShown]:
        """Every model, and what stands behind it."""
        states = self._router.states()
        return [
            ModelShown(
                name,
                model.fallbacks,
                tuple(
                    BackendShown(target.name, states[target.name].breaker, states[target.name].in_flight)
                    for target in model.route.targets
                ),
            )
            for name, model in self._config.models.items()
        ]

    async def _routed(self, request: Generation) -> Answered:
        routed = await self._router.complete(request, self._timeout(request.model))
        return Answered(routed.value, routed.model, routed.backend)

    async def _streamed(self, tenant: str, request: Generation, admitted: Admitted) -> AsyncGenerator[Piece, None]:
        kept = self._caches.kept(tenant, request)
        if kept is not None:
            settle(admitted, kept)
            for piece in pieces(kept.completion):
                yield piece
            return
        recorder, written, watch = Recorder(), 0, self._observed.stream(request.model)
        async with aclosing(self._router.stream(request, self._timeout(request.model))) as stream:
            try:
                async for piece in stream:
                    recorder.take(piece)
                    written += len(piece.text)
                    watch.piece(piece)
                    yield piece
            finally:
                whole = recorder.completion
                if whole is not None:
                    admitted.answered(stream.model, whole.usage)
                elif stream.model:
                    admitted.broke_off(stream.model, written)
                watch.end(whole)
        if whole is not None:
            self._caches.keep(tenant, request, Answered(whole, stream.model, stream.backend))

    def _bounded(self, caller: VirtualKey, generation: Generation) -> Generation:
        """With a bound on what it may write, which is reserved, and at the caller's own priority."""
        found, sampling = self._config.models.get(generation.model), generation.sampling
        if found is None:
            return generation
        written = min(sampling.max_tokens or found.max_tokens, found.max_tokens)
        priority = max(generation.priority, caller.priority)
        if (written, priority) == (sampling.max_tokens, generation.priority):
            return generation
        return replace(generation, sampling=replace(sampling, max_tokens=written), priority=priority)

    def _chain(self, model: str) -> list[str]:
        found = self._config.models.get(model)
        return [model] if found is None else [model, *found.fallbacks]

    def _timeout(self, model: str) -> float:
        found = self._config.models.get(model)
        return found.timeout_seconds if found is not None else 60.0


def settle(admitted: Admitted, answered: Answered) -> None:
    """Pays for a whole answer."""
    admitted.answered(answered.model, answered.completion.usage, cache_hit=bool(answered.cache))
