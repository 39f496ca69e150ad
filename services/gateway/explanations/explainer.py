"""The sentences of a recent recommendation, in the order of its items, each as soon as it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.items import ItemTable
from services.gateway.catalog import Catalog
from services.gateway.explanations.check import contradictions, folded_title
from services.gateway.explanations.facts import Facts, facts_of, said_title
from services.gateway.explanations.prompt import generation_of, whole
from services.gateway.explanations.reasons import reasons_of
from services.gateway.explanations.sentences import sentence
from services.gateway.traces import Trace, Traces
from services.llm.calls import Generation
from services.runtime.errors import CascadeError, NotFound
from services.runtime.logs import get_logger
from services.runtime.metrics import EXPLANATIONS

Ask = Callable[[Generation, float], Awaitable[str]]
"""(call, seconds) -> text"""
log = get_logger("explanations")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one item was recommended."""

    item_id: str
    rank: int
    sentence: str
    by: Literal["model", "template"]


class Explainer:
    """Asks the model for all items at once; what is late, refused or says more than the facts is said by rule.

    async for explanation in explainer.of(recommendation_id): ...
    """

    def __init__(self, traces: Traces, catalog: Catalog, ask: Ask, model: str, timeout: float, at_once: int) -> None:
        """A sentence may take `timeout` seconds; `at_once` are asked for at the same time, whoever wants them."""
        self._traces, self._catalog = traces, catalog
        self._ask, self._model, self._timeout = ask, model, timeout
        self._free = asyncio.Semaphore(at_once)
        self._folded: tuple[ItemTable | None, frozenset[str]] = (None, frozenset())

    def of(self, recommendation_id: str) -> AsyncGenerator[Explanation, None]:
        """The explanations; NotFound at once when the recommendation is not kept (any more)."""
        trace = self._traces.get(recommendation_id)
        if trace is None:
            raise NotFound("No trace of this recommendation is kept; only recent ones are.", field="recommendation_id")
        return self._stream(facts_in(trace, self._catalog))

    async def _stream(self, items: Sequence[Facts]) -> AsyncGenerator[Explanation, None]:
        asked = [asyncio.create_task(self._explained(facts)) for facts in items]
        try:
            for task in asked:
                yield await task
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _explained(self, facts: Facts) -> Explanation:
        said = await self._phrased(facts)
        EXPLANATIONS.labels("template" if said is None else "model").inc()
        if said is None:
            return Explanation(facts.item_id, facts.rank, sentence(facts), "template")
        return Explanation(facts.item_id, facts.rank, said, "model")

    async def _phrased(self, facts: Facts) -> str | None:
        """The model's sentence, or None when there is none that may be shown."""
        try:
            async with asyncio.timeout(self._timeout):
                async with self._free:
                    end = await self._ask(generation_of(facts, self._model), self._timeout)
        except (CascadeError, TimeoutError) as error:
            log.debug("explained by rule", reason=str(error))
            return None
        text = whole(facts, end)
        wrong = contradictions(text, facts, self._titles())
        if wrong:
            log.debug("explained by rule", reason=wrong[0])
        return None if wrong else text

    def _titles(self) -> frozenset[str]:
        """The catalogue's titles, folded once for each version of it."""
        table = self._catalog.table
        if self._folded[0] is not table:
            self._folded = (table, frozenset(folded_title(said_title(title)) for title in table.titles))
        return self._folded[1]


def facts_in(trace: Trace, catalog: Catalog) -> list[Facts]:
    """The facts of the shown items, in their order."""
    rows = trace.slate.rows
    causes = catalog.names_of(trace.found.because[rows])
    watched = set(np.unique(trace.user.history).tolist())
    found = []
    for card, row, cause in zip(trace.answer["items"], rows.tolist(), causes, strict=True):
        if card["title"] is not None:
            name = (cause[1] or cause[0]) if cause is not None and int(trace.found.because[row]) in watched else ""
            named = card if card["title"] else {**card, "title": card["item_id"]}
            found.append(facts_of(named, reasons_of(trace.scores, row), name))
    return found
