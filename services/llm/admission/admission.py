"""Whether a call may go on, and what it costs in the end: keys, limits, budgets, prices and accounts together.

async with admission.admitted(caller, request, ["smollm2", "template"]) as admitted:
    ...                                          # an error gives everything back
    admitted.answered("smollm2", usage)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.llm.admission.accounting import Accounts
from services.llm.admission.budgets import Budgets
from services.llm.admission.estimates import LETTERS_A_TOKEN, most_prompt_tokens, prompt_tokens
from services.llm.admission.keys import Keys, VirtualKey
from services.llm.admission.ledger import Reservation
from services.llm.admission.limits import Grant, Limits
from services.llm.admission.prices import Prices, dollars
from services.llm.calls import Generation, Usage
from services.runtime.metrics import LLM_COST_USD, series

HOUSE = VirtualKey(name="house", tenant="house")
"""Our own gateway, which asks over gRPC."""

Paid = Callable[[VirtualKey, str, Usage, int, bool], None]
"""(caller, model, usage, picodollars, from a cache) of an answer that was paid for."""


class Admitted:
    """A call that may go on. What it holds is settled once; what is left when it ends is given back."""

    def __init__(
        self,
        caller: VirtualKey,
        request: Generation,
        grant: Grant,
        reservation: Reservation,
        prices: Prices,
        paid: Paid,
    ) -> None:
        self._caller, self._request, self._grant, self._reservation = caller, request, grant, reservation
        self._prices, self._paid = prices, paid

    def answered(self, model: str, usage: Usage, *, cache_hit: bool = False) -> None:
        """Pays for an answer that `model` wrote, now or, for a hit, some time ago."""
        cost = self._prices.cache_hit_cost(model, usage) if cache_hit else self._prices.cost(model, usage)
        self._reservation.settle(cost)
        self._grant.settle(0 if cache_hit else usage.total_tokens)
        self._paid(self._caller, model, usage, cost, cache_hit)

    def broke_off(self, model: str, characters: int) -> None:
        """Pays for a stream that ended early, by estimate: nobody told its usage."""
        self.answered(model, Usage(prompt_tokens(self._request), -(-characters // LETTERS_A_TOKEN)))

    def close(self) -> None:
        """Gives back what was not used."""
        self._grant.settle(0)
        self._reservation.release()


class Admission:
    """The callers, and how each stands."""

    def __init__(self, keys: Keys, limits: Limits, budgets: Budgets, accounts: Accounts, prices: Prices) -> None:
        """`limits` and `budgets` must know the house's key too."""
        self._keys, self._limits, self._budgets = keys, limits, budgets
        self._accounts, self._prices = accounts, prices

    def caller(self, presented: str) -> VirtualKey:
        """Whose key this is; Unauthenticated when it is nobody's."""
        return self._keys.authenticate(presented)

    @asynccontextmanager
    async def admitted(self, caller: VirtualKey, request: Generation, chain: Sequence[str]) -> AsyncIterator[Admitted]:
        """Reserves the worst case over the `chain` of models that may answer; Limited, TooLarge or NotFound."""
        caller.check_model(request.model)
        written = request.sampling.max_tokens or 0
        grant = self._limits.admit(caller, prompt_tokens(request) + written)
        try:
            worst = self._prices.worst_case(chain, most_prompt_tokens(request), written)
            reservation = await self._budgets.reserve(caller, worst)
        except BaseException:
            grant.settle(0)
            raise
        admitted = Admitted(caller, request, grant, reservation, self._prices, self._paid)
        try:
            yield admitted
        finally:
            admitted.close()

    def usage(self, caller: VirtualKey) -> dict[str, Any]:
        """What a caller has used since the start, by model, and how its budget stands."""
        budget = self._budgets.state(caller)
        return {
            "key": caller.name,
            "models": [
                {
                    "model": row.model,
                    "requests": row.requests,
                    "cache_hits": row.cache_hits,
                    "prompt_tokens": row.prompt_tokens,
                    "cached_tokens": row.cached_tokens,
                    "completion_tokens": row.completion_tokens,
                    "usd": row.usd,
                }
                for row in self._accounts.rows(caller.name)
            ],
            "budget": None
            if budget is None
            else {
                "usd": budget.budget,
                "spent": budget.spent,
                "reserved": budget.reserved,
                "period": caller.budget_period,
                "seconds_left": budget.seconds_left,
            },
        }

    def _paid(self, caller: VirtualKey, model: str, usage: Usage, cost: int, cache_hit: bool) -> None:
        self._accounts.add(caller.name, model, usage, cost, cache_hit=cache_hit)
        series(LLM_COST_USD, caller.name, model).inc(dollars(cost))
