"""How a rollout goes on, and what stops it."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Told(BaseModel):
    """Read from JSON; a misspelt field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Step(Told):
    """One step: it ends after `seconds` and `samples`, both, and with fewer samples after `longest` seconds."""

    stage: Literal["shadow", "canary", "ramp"]
    """shadow: the challengers are asked beside and never shown; the others show them to `share` of the users."""
    share: float = Field(ge=0, le=1)
    """Of users, by stable hash."""
    seconds: float = Field(ge=0, le=30 * 86400)
    """Least time in this step."""
    samples: int = Field(0, ge=0)
    """Fewest answers of the challenger in this step."""
    longest: float = Field(ge=0, le=30 * 86400)
    """After as many seconds it goes on with fewer samples, unless something is breached."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.longest < self.seconds:
            raise ValueError(f"longest ({self.longest} s) of step {self.stage} is less than its seconds.")
        if (self.stage == "shadow") != (self.share == 0):
            raise ValueError(f"share of step {self.stage}: a shadow has share 0, every other step more.")
        return self


class GuardrailSettings(Told):
    """Limits of a challenger. They are looked at every few seconds, so every test is stricter than one look needs."""

    error_margin: float = Field(0.02, ge=0, le=1)
    """Failures the challenger may have beyond the champion's share of them."""
    error_failures: int = Field(5, ge=1)
    """Fewest failed answers of the challenger that can end a rollout."""
    latency_factor: float = Field(2.0, ge=1)
    """Times the champion's median that the challenger's may take."""
    latency_floor_ms: float = Field(10.0, ge=0)
    """Medians below this are never too slow."""
    latency_samples: int = Field(20, ge=2)
    """Fewest timed answers of either arm."""
    click_margin: float = Field(0.2, ge=0, le=1)
    """Share of the champion's click-through rate that the challenger may lose."""
    click_samples: int = Field(200, ge=1)
    """Fewest shown items of either arm."""
    click_dispersion: float = Field(2.0, ge=1)
    """Clicks of one user are alike: the variance of a rate is so many times that of independent items."""
    click_lag_s: float = Field(15.0, ge=0)
    """Clicks come after what was shown: so many seconds of a step pass before either is counted."""
    least_overlap: float = Field(0.02, ge=0, le=1)
    """Mean overlap of a shadow's first ten items with those shown; less means it ranks worse than chance would."""
    alpha: float = Field(1e-4, gt=0, lt=1)
    """Chance of a false alarm in one look at errors or latency; looks repeat, so it is small."""
    click_alpha: float = Field(0.01, gt=0, lt=1)
    """Chance of a false alarm in all looks at click-through together: its test is valid at every look."""


DEMO_STEPS = (
    Step(stage="shadow", share=0.0, seconds=30, samples=50, longest=45),
    Step(stage="canary", share=0.05, seconds=60, samples=50, longest=75),
    Step(stage="ramp", share=0.25, seconds=45, samples=100, longest=60),
    Step(stage="ramp", share=0.5, seconds=45, samples=100, longest=60),
)
"""Three to four minutes: somebody watches. With real users, hours or days."""


class RolloutSettings(Told):
    """CASCADE_TRAINER_ROLLOUT, as JSON; what is left out keeps its default."""

    steps: tuple[Step, ...] = Field(DEMO_STEPS, min_length=1, max_length=20)
    """The way to champion."""
    guardrails: GuardrailSettings = GuardrailSettings()
    """What ends a rollout."""
    every_s: float = Field(1.0, gt=0, le=60)
    """How often the registry and the metrics are looked at."""
    blind_s: float = Field(600.0, gt=0)
    """A rollout whose figures cannot be read waits for so long, then it is rolled back."""
    kept_versions: int = Field(10, ge=1)
    """Newest versions of each model whose files are kept, beside those with an alias."""

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if any(after.share < before.share for before, after in pairwise(self.steps)):
            raise ValueError("steps: the share of users may not go down from one step to the next.")
        return self
