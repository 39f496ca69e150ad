"""What tokens cost. Money is counted in whole picodollars, so that sums are exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from services.llm.calls import Usage

PICODOLLARS = 10**12
"""In a dollar. One dollar for a million tokens is 10**6 of them for a token."""

Rates = tuple[int, int, int]
"""Picodollars for a token read, read from the prefix cache, and written."""


class Price(BaseModel):
    """USD for a million tokens of one model."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    prompt: float = Field(0, ge=0, le=100_000)
    """Tokens read."""
    cached_prompt: float | None = Field(None, ge=0, le=100_000)
    """Tokens read whose keys and values were already there; None: as dear as the others."""
    completion: float = Field(0, ge=0, le=100_000)
    """Tokens written."""


class Prices:
    """The price list. A model that is not on it costs as much as the dearest that is: nothing is free by oversight."""

    def __init__(self, models: Mapping[str, Price], cache_hit_share: float = 0.0) -> None:
        """`cache_hit_share` of the usual cost is asked for an answer out of a cache of ours."""
        self._rates = {name: _rates(price) for name, price in models.items()}
        self._dearest = _dearest(self._rates.values())
        self._cache_hit_share = cache_hit_share

    def cost(self, model: str, usage: Usage) -> int:
        """Picodollars for what `model` read and wrote."""
        prompt, cached, completion = self._rates.get(model, self._dearest)
        fresh = usage.prompt_tokens - usage.cached_tokens
        return fresh * prompt + usage.cached_tokens * cached + usage.completion_tokens * completion

    def cache_hit_cost(self, model: str, usage: Usage) -> int:
        """Picodollars for an answer that once took `usage` and now came out of a cache."""
        return round(self.cost(model, usage) * self._cache_hit_share)

    def worst_case(self, models: Iterable[str], prompt_tokens: int, completion_tokens: int) -> int:
        """Picodollars when the dearest of the models, all that may answer the call, reads and writes that much."""
        rates = [self._rates.get(model, self._dearest) for model in models]
        return max(
            (prompt_tokens * max(prompt, cached) + completion_tokens * written for prompt, cached, written in rates),
            default=0,
        )


def picodollars(usd: float) -> int:
    """Dollars in the unit of all sums."""
    return round(usd * PICODOLLARS)


def dollars(amount: int) -> float:
    """Picodollars as a person reads them."""
    return amount / PICODOLLARS


def _dearest(rates: Iterable[Rates]) -> Rates:
    listed = [(0, 0, 0), *rates]
    return max(rate[0] for rate in listed), max(rate[1] for rate in listed), max(rate[2] for rate in listed)


def _rates(price: Price) -> Rates:
    cached = price.prompt if price.cached_prompt is None else price.cached_prompt
    per_token = PICODOLLARS // 1_000_000
    return round(price.prompt * per_token), round(cached * per_token), round(price.completion * per_token)
