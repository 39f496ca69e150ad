"""Is the challenger worse than the champion? From counts of one step to guardrails. Pure.

Every guardrail is looked at again every second or so, and a test that is wrong once in a hundred looks would soon be
wrong. Errors and latency are tested at a level that leaves room for hundreds of looks; click-through by a test that is
valid at every look (the mixture sequential probability ratio test of Johari, Koomen, Pekelis and Walsh, Operations
Research 70(3), 2022, with a normal mixture).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from services.trainer.rollout.machine import Guardrail
from services.trainer.rollout.readings import Tally
from services.trainer.rollout.settings import GuardrailSettings

CHAMPION, CHALLENGER, SHADOW = "champion", "challenger", "shadow"
STAGES = ("ranking", "retrieval")
EXPECTED_LOSS = 0.5
"""Share of clicks lost that the test of click-through is made to find soonest; other losses take it a little longer."""


def judged(tally: Tally, *, shadow: bool, settings: GuardrailSettings) -> tuple[Guardrail, ...]:
    """Every guardrail with its figures, breached or not; a shadow is shown to nobody, so nobody clicks on it."""
    arm = SHADOW if shadow else CHALLENGER
    found = (errors(tally, arm, settings), latency(tally, arm, settings))
    return (*found, agreement(tally, settings)) if shadow else (*found, click_through(tally, settings))


def answers(tally: Tally, arm: str) -> tuple[int, int]:
    """(answers, those that failed) of an arm."""
    failed = tally.get(f"answers {arm} failed", 0.0)
    return round(tally.get(f"answers {arm} ok", 0.0) + failed), round(failed)


def missing(tally: Tally, arm: str) -> int:
    """How often an arm was asked before it was loaded."""
    return round(tally.get(f"answers {arm} missing", 0.0))


def errors(tally: Tally, arm: str, settings: GuardrailSettings) -> Guardrail:
    """The share of answers that failed. Breached when so many are too unlikely at the champion's share plus margin."""
    asked, failed = answers(tally, CHAMPION)
    tried, lost = answers(tally, arm)
    share, mine = failed / max(asked, 1), lost / max(tried, 1)
    # Smoothed by Laplace's rule: a champion that was hardly asked says little.
    limit = min(1.0, (failed + 1) / (asked + 2) + settings.error_margin)
    unlikely = binom.sf(lost - 1, tried, limit) < settings.alpha
    breached = lost >= settings.error_failures and mine > share + settings.error_margin and unlikely
    sentence = f"The challenger failed {lost} of {tried} times, the champion {failed} of {asked}." if breached else ""
    return Guardrail("errors", share, mine, share + settings.error_margin, tried, sentence)


def latency(tally: Tally, arm: str, settings: GuardrailSettings) -> Guardrail:
    """Medians in milliseconds, of the stage that looks worst. Breached when too many answers come after the limit for
    half of them to be before it (the sign test).
    """
    found = [_latency(tally, arm, stage, settings) for stage in STAGES]
    return max(found, key=lambda one: (bool(one.breach), one.challenger / one.limit if one.limit else 0.0))


def click_through(tally: Tally, settings: GuardrailSettings) -> Guardrail:
    """Clicks per shown item. Breached when it is lower by more than the margin, and by more than chance."""
    shown, clicks = round(tally.get(f"shown {CHAMPION}", 0)), tally.get(f"clicks {CHAMPION}", 0)
    tried, taken = round(tally.get(f"shown {CHALLENGER}", 0)), tally.get(f"clicks {CHALLENGER}", 0)
    rate, mine = clicks / max(shown, 1), taken / max(tried, 1)
    limit = rate * (1 - settings.click_margin)
    enough = min(shown, tried) >= settings.click_samples
    breached = enough and mine < limit and _chance(clicks, shown, taken, tried, settings) < settings.click_alpha
    sentence = (
        f"Of what the challenger showed {mine:.2%} was clicked, of what the champion showed {rate:.2%}."
        if breached
        else ""
    )
    return Guardrail("click_through", rate, mine, limit, tried, sentence)


def agreement(tally: Tally, settings: GuardrailSettings) -> Guardrail:
    """Mean overlap of a shadow's first items with the shown ones; none at all says that it ranks upside down."""
    count = round(tally.get("overlap count", 0))
    mean = tally.get("overlap sum", 0.0) / max(count, 1)
    breached = count >= settings.latency_samples and mean < settings.least_overlap
    sentence = f"Of the first items the challenger shares {mean:.1%} with what was shown." if breached else ""
    return Guardrail("agreement", 1.0, mean, settings.least_overlap, count, sentence)


def _chance(clicks: float, shown: int, taken: float, tried: int, settings: GuardrailSettings) -> float:
    """An upper bound of the chance that equal arms ever look as different as this: valid at every look."""
    pooled = (clicks + taken) / (shown + tried)
    variance = settings.click_dispersion * pooled * (1 - pooled) * (1 / shown + 1 / tried)
    expected = (EXPECTED_LOSS * pooled) ** 2
    if not variance or not expected:
        return 1.0
    difference = taken / tried - clicks / shown
    evidence = difference**2 * expected / (2 * variance * (variance + expected))
    return math.exp(min(0.0, -(0.5 * math.log(variance / (variance + expected)) + evidence)))


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram: how many took at most as long."""

    bounds: Sequence[float]
    """Seconds, ascending; the last is infinite."""
    counts: Sequence[float]
    """Cumulative."""

    @property
    def count(self) -> int:
        return round(self.counts[-1]) if len(self.counts) else 0

    @property
    def median(self) -> float:
        """Seconds, between the bounds of its bucket; 0 for none."""
        if not self.count:
            return 0.0
        return float(np.interp(self.count / 2, [0.0, *self.counts], [0.0, *self._finite()]))

    def later_than(self, seconds: float) -> int:
        """How many certainly took longer: those beyond the next bound."""
        place = int(np.searchsorted(self.bounds, seconds))
        return self.count - round(self.counts[place]) if place < len(self.bounds) else 0

    def _finite(self) -> list[float]:
        """What lies beyond the last bound counts as twice that."""
        return [*self.bounds[:-1], 2 * self.bounds[-2] if len(self.bounds) > 1 else 0.0]


def times(tally: Tally, arm: str, stage: str) -> Times:
    """The histogram of an arm at a stage."""
    prefix = f"seconds {arm} {stage} "
    found = sorted((float(key.removeprefix(prefix)), count) for key, count in tally.items() if key.startswith(prefix))
    return Times([bound for bound, _ in found], [count for _, count in found])


def _latency(tally: Tally, arm: str, stage: str, settings: GuardrailSettings) -> Guardrail:
    champion, challenger = times(tally, CHAMPION, stage), times(tally, arm, stage)
    limit = max(settings.latency_factor * champion.median, settings.latency_floor_ms / 1000)
    enough = min(champion.count, challenger.count) >= settings.latency_samples
    late = challenger.later_than(limit)
    breached = enough and challenger.median > limit and binom.sf(late - 1, challenger.count, 0.5) < settings.alpha
    mine, theirs = challenger.median * 1000, champion.median * 1000
    sentence = f"The challenger's {stage} takes {mine:.1f} ms, the champion's {theirs:.1f} ms." if breached else ""
    return Guardrail("latency", theirs, mine, limit * 1000, challenger.count, sentence)
