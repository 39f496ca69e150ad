"""Objectives: what each head of a ranker weighs in the one score that orders a list.

    score = w_click * z_click + sum over the other heads of w * log sigmoid(z)

Both are logarithms of probabilities. A listwise click head makes softmax(z) the chance of each candidate to be what
comes next, so z is its logarithm but for a constant of the list; the other heads answer "given that they turn to it".
With two weights of 1 the score is the logarithm of P(click and like), the chain of Ma et al., "Entire Space Multi-Task
Model" (SIGIR 2018); another weight is an exponent. Of logits, a head that is certain would outweigh all the others; a
probability that is certain adds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLICK = "click"
"""The head that says which of the candidates comes next."""
MOST = 100.0
"""Largest weight, either sign: beyond, one head is all that counts."""


@dataclass(frozen=True, slots=True)
class Heads:
    """H heads of a ranker, in the order of its logits."""

    names: tuple[str, ...]
    defaults: tuple[float, ...]
    """What each weighs when nobody said otherwise."""
    listwise: bool = True
    """Whether the click head's chances add up to one over a list; otherwise each candidate has its own."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Heads | None:
        """Those of a manifest's config; None for a ranker with one score."""
        shape = config.get("shape", {})
        if "heads" not in shape:
            return None
        listwise = config.get("fit", {}).get("objective") == "listwise"
        return cls(tuple(shape["heads"]), tuple(float(value) for value in shape["value"]), listwise)

    def weights(self, asked: Mapping[str, float]) -> dict[str, float]:
        """What each head weighs under `asked`: a head that is left out weighs nothing. The defaults when none of these
        heads is asked for, so that there is always an order."""
        found = {name: float(asked.get(name, 0.0)) for name in self.names}
        return found if any(found.values()) else dict(zip(self.names, self.defaults, strict=True))

    def combined(self, logits: NDArray[np.float32], weights: Mapping[str, float]) -> NDArray[np.float32]:
        """(N,) scores of (N, H) logits."""
        terms = logits.astype(np.float64)
        others = [place for place, name in enumerate(self.names) if name != CLICK]
        terms[:, others] = -np.logaddexp(0.0, -terms[:, others])
        counted = [place for place, name in enumerate(self.names) if weights.get(name)]
        scores: NDArray[np.float64] = terms[:, counted] @ np.array([weights[self.names[place]] for place in counted])
        return scores.astype(np.float32)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, H) of (N, H) logits of one list: the click's as the model was fitted, the others given a click."""
        chances = 0.5 * (1 + np.tanh(logits.astype(np.float64) / 2))
        if self.listwise and CLICK in self.names and logits.shape[0]:
            place = self.names.index(CLICK)
            shares = np.exp(logits[:, place].astype(np.float64) - np.nanmax(logits[:, place]))
            chances[:, place] = shares / np.nansum(shares)
        return chances.astype(np.float32)


def wrong_with(weights: Mapping[str, float], heads: Heads) -> str | None:
    """Why a list cannot be ordered by these weights, a sentence; None when it can."""
    if unknown := sorted(weights.keys() - set(heads.names)):
        return f"There is no head {unknown[0][:64]!r}; there are {', '.join(heads.names)}."
    for name, weight in weights.items():
        if not math.isfinite(weight) or abs(weight) > MOST:
            return f"The weight of {name!r} must be a number from -{MOST:g} to {MOST:g}."
    if not any(weights.values()):
        return "At least one head must weigh something other than 0."
    return None
