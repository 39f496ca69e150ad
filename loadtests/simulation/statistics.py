"""From recorded rounds to means and intervals. Arms are compared within a round only, user by user and seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from loadtests.simulation import recording
from loadtests.simulation.recording import Round
from loadtests.simulation.settings import REFERENCES, Cell, Simulation

LEVEL = 0.95
"""Of every interval."""


class Estimate(NamedTuple):
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """True when the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Results:
    """What is done of a simulation."""

    played: Mapping[str, Mapping[str, Mapping[int, Sequence[Round]]]]
    """Click model -> arm -> seed -> rounds; arms in the order of the plan, references after them."""

    @classmethod
    def read(cls, plan: Simulation) -> Results:
        """Reads every cell of the plan that is done."""
        played: dict[str, dict[str, dict[int, Sequence[Round]]]] = {}
        for clicks in plan.clicks:
            for arm in (*plan.arms, *REFERENCES):
                for seed in range(plan.seeds):
                    path = plan.file_of(Cell(seed, clicks, arm))
                    if path.is_file():
                        played.setdefault(clicks, {}).setdefault(arm, {})[seed] = recording.read(path)
        return cls(played)

    def clicks_by_round(self, clicks: str, arm: str) -> NDArray[np.float64]:
        """(T,) expected clicks per page, mean over seeds and users."""
        seeds = [_expected(rounds).mean(axis=1) for rounds in self.played[clicks][arm].values()]
        return np.asarray(np.mean(seeds, axis=0))

    def difference(self, clicks: str, arm: str, base: str) -> list[Estimate]:
        """Per round, expected clicks per page of `arm` minus those of `base`, over the seeds that both have played.

        With several seeds the interval is Student's over the seeds' means; with one, over its users. Empty when
        the two have no seed in common.
        """
        arms = self.played[clicks]
        common = sorted(arms.get(arm, {}).keys() & arms.get(base, {}).keys())
        if not common:
            return []
        paired = np.stack([_expected(arms[arm][seed]) - _expected(arms[base][seed]) for seed in common])
        samples = paired.mean(axis=2) if len(common) > 1 else paired[0].T
        return [estimate(samples[:, turn]) for turn in range(samples.shape[1])]


def estimate(samples: NDArray[np.float64]) -> Estimate:
    """Mean of (N,) independent samples with Student's interval; an infinite one for a single sample."""
    mean = float(samples.mean())
    if samples.size < 2:
        return Estimate(mean, float("-inf"), float("inf"))
    reach = float(student.ppf((1 + LEVEL) / 2, samples.size - 1) * samples.std(ddof=1) / np.sqrt(samples.size))
    return Estimate(mean, mean - reach, mean + reach)


def _expected(rounds: Sequence[Round]) -> NDArray[np.float64]:
    """(T, B)"""
    return np.array([[page.expected for page in told.pages] for told in rounds])
