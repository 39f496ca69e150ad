"""One place of some slates for a candidate from below the cut, drawn at random with a known probability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.reranker.pool import Places
from services.reranker.rules.outcome import Outcome

Policy = Literal["softmax", "uniform"]


@dataclass(frozen=True, slots=True)
class Explored:
    """The list after the draw."""

    outcome: Outcome
    propensity: float
    """Probability that whatever holds the last place of the slate came to it."""
    explored: bool
    """Whether that is the drawn candidate."""


def exploration(
    order: Places,
    scores: NDArray[np.float32],
    n: int,
    seed: int,
    fits: Callable[[Sequence[int], int], bool],
    *,
    rate: float,
    reach: int,
    policy: Policy,
    temperature: float,
) -> Explored:
    """With probability `rate`, gives the last of n places to one of the first `reach` candidates below the cut.

    Deterministic in the seed. `scores` are by place. The propensity is rate * p(candidate) for a drawn item and
    1 - rate for the item that kept its place: what off-policy estimators divide by.
    """
    slate: list[int] = order[: n - 1].tolist()
    reachable: list[int] = order[n : n + reach].tolist()
    if rate <= 0 or not any(fits(slate, place) for place in reachable):
        return Explored(Outcome(order), 1.0, False)
    random = np.random.default_rng(seed)
    if random.random() >= rate:
        return Explored(Outcome(order), 1.0 - rate, False)
    below = [place for place in reachable if fits(slate, place)]
    chances = probabilities(scores[below], policy, temperature)
    drawn = int(random.choice(len(below), p=chances))
    kept = np.concatenate([order[: n - 1], [below[drawn]], order[n:][order[n:] != below[drawn]]])
    outcome = Outcome(kept, {"gave its place to exploration": order[n - 1 : n]})
    return Explored(outcome, rate * float(chances[drawn]), True)


def probabilities(scores: NDArray[np.float32], policy: Policy, temperature: float) -> NDArray[np.float64]:
    """(B,) chances that add up to 1: equal, or exp(z / temperature) of the standardised scores; NaN counts as worst."""
    known = np.isfinite(scores)
    if policy == "uniform" or not known.any():
        return np.full(scores.size, 1.0 / scores.size)
    filled = np.where(known, scores, scores[known].min()).astype(np.float64)
    weights = np.exp((filled - filled.max()) / (temperature * max(float(filled.std()), 1e-12)))
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances
