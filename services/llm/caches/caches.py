"""Both caches in front of a model: first the same call, then the same thing in other words.

Only what the model that was asked for wrote is kept: an answer of its fallback would outlive the reason for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.llm.answered import Answered
from services.llm.caches.exact import ExactCache
from services.llm.caches.scope import exact_key
from services.llm.caches.semantic import SemanticCache
from services.llm.calls import Generation
from services.runtime.metrics import LLM_CACHE, series

Route = Callable[[Generation], Awaitable[Answered]]


class Caches:
    """Asked after a caller was let in and paid for the worst case, never before."""

    def __init__(self, exact: ExactCache | None, semantic: SemanticCache | None) -> None:
        self._exact, self._semantic = exact, semantic

    async def answer(self, tenant: str, request: Generation, route: Route) -> Answered:
        """The kept answer, or that of `route`, which equal calls share while it is on its way."""
        key = exact_key(tenant, request) if self._exact is not None else None
        if self._exact is None or key is None:
            return await self._in_other_words(tenant, request, route)
        answered = await self._exact.answer(
            key,
            lambda: self._in_other_words(tenant, request, route),
            lambda made: self._worth_keeping(request, made),
        )
        series(LLM_CACHE, "exact", "hit" if answered.cache == "exact" else "miss").inc()
        return answered

    def kept(self, tenant: str, request: Generation) -> Answered | None:
        """For a stream: an equal call's answer."""
        key = exact_key(tenant, request) if self._exact is not None else None
        if self._exact is None or key is None:
            return None
        answered = self._exact.get(key)
        series(LLM_CACHE, "exact", "miss" if answered is None else "hit").inc()
        return answered

    def keep(self, tenant: str, request: Generation, answered: Answered) -> None:
        """Of a stream that ended whole."""
        key = exact_key(tenant, request) if self._exact is not None else None
        if self._exact is not None and key is not None and self._worth_keeping(request, answered):
            self._exact.keep(key, answered)

    async def _in_other_words(self, tenant: str, request: Generation, route: Route) -> Answered:
        if self._semantic is None:
            return await route(request)
        question = await self._semantic.ask(tenant, request)
        if question is None:
            return await route(request)
        series(LLM_CACHE, "semantic", "miss" if question.found is None else "hit").inc()
        if question.found is not None:
            return Answered(question.found, request.model, cache="semantic")
        answered = await route(request)
        if self._worth_keeping(request, answered):
            self._semantic.keep(question, answered.completion)
        return answered

    @staticmethod
    def _worth_keeping(request: Generation, answered: Answered) -> bool:
        return answered.model == request.model
