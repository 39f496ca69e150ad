from __future__ import annotations

import numpy as np
import pytest

from services.runtime.metrics import _SECONDS
from services.trainer.rollout.guardrails import agreement, click_through, errors, judged, latency
from services.trainer.rollout.settings import GuardrailSettings

SETTINGS = GuardrailSettings()


def answered(champion: tuple[int, int], challenger: tuple[int, int], arm: str = "challenger") -> dict[str, float]:
    """(ok, failed) of both arms."""
    return {
        "answers champion ok": champion[0], "answers champion failed": champion[1],
        f"answers {arm} ok": challenger[0], f"answers {arm} failed": challenger[1],
    }  # fmt: skip


def timed(arm: str, seconds: list[float], stage: str = "ranking") -> dict[str, float]:
    """A histogram as the gateway counts it."""
    bounds = [*_SECONDS, float("inf")]
    return {f"seconds {arm} {stage} {bound}": float(sum(one <= bound for one in seconds)) for bound in bounds}


def clicked(champion: tuple[int, int], challenger: tuple[int, int]) -> dict[str, float]:
    """(clicks, shown) of both arms."""
    return {
        "clicks champion": champion[0], "shown champion": champion[1],
        "clicks challenger": challenger[0], "shown challenger": challenger[1],
    }  # fmt: skip


@pytest.mark.parametrize("arm", ["challenger", "shadow"])
@pytest.mark.parametrize("champion", [(0, 0), (10, 0), (500, 2)])
def test_a_model_that_always_fails_is_found_within_a_dozen_and_a_half_answers(
    arm: str, champion: tuple[int, int]
) -> None:
    found = errors(answered(champion, (0, 18), arm), arm, SETTINGS)
    assert "failed 18 of 18 times" in found.breach


def test_failures_that_both_arms_share_are_nobodys_fault() -> None:
    assert not errors(answered((50, 50), (9, 11)), "challenger", SETTINGS).breach
    assert not errors(answered((0, 40), (0, 20)), "challenger", SETTINGS).breach
    assert errors(answered((500, 0), (80, 20)), "challenger", SETTINGS).breach


def test_a_good_model_is_not_called_bad_by_chance_however_often_it_is_looked_at() -> None:
    generator = np.random.default_rng(1)
    false_alarms = 0
    for _ in range(40):
        champion, challenger = generator.random(600) < 0.03, generator.random(300) < 0.03
        for looked in range(5, 300, 5):
            mine, theirs = int(champion[: 2 * looked].sum()), int(challenger[:looked].sum())
            tally = answered((2 * looked - mine, mine), (looked - theirs, theirs))
            if errors(tally, "challenger", SETTINGS).breach:
                false_alarms += 1
                break
    assert false_alarms == 0


def test_a_model_that_is_twenty_times_slower_is_found_and_one_that_is_as_fast_is_not() -> None:
    champion = timed("champion", [0.004] * 100)
    slow = latency(champion | timed("challenger", [0.08] * 25), "challenger", SETTINGS)
    assert "ranking takes" in slow.breach
    assert slow.champion == pytest.approx(4, abs=1.1)
    assert slow.challenger == pytest.approx(80, abs=20)
    assert not latency(champion | timed("challenger", [0.005] * 25), "challenger", SETTINGS).breach
    assert not latency(champion | timed("challenger", [0.08] * 10), "challenger", SETTINGS).breach


def test_the_stage_that_is_slow_is_the_one_that_is_told() -> None:
    tally = timed("champion", [0.004] * 50) | timed("challenger", [0.004] * 50)
    tally |= timed("champion", [0.01] * 50, "retrieval") | timed("challenger", [0.3] * 50, "retrieval")
    assert "retrieval takes" in latency(tally, "challenger", SETTINGS).breach


def test_a_few_slow_answers_are_not_a_slow_model() -> None:
    tally = timed("champion", [0.004] * 100) | timed("challenger", [0.004] * 12 + [2.0] * 11)
    assert not latency(tally, "challenger", SETTINGS).breach


def test_a_model_whose_items_nobody_clicks_is_found() -> None:
    found = click_through(clicked((950, 9500), (10, 500)), SETTINGS)
    assert "2.00% was clicked" in found.breach
    assert not click_through(clicked((950, 9500), (3, 150)), SETTINGS).breach, "too few to say"
    assert not click_through(clicked((950, 9500), (44, 500)), SETTINGS).breach, "within the margin"
    assert not click_through(clicked((950, 9500), (100, 500)), SETTINGS).breach, "better"


def test_click_through_of_equal_arms_seldom_breaches_in_all_looks_together() -> None:
    generator = np.random.default_rng(0)
    breached = 0
    for _ in range(200):
        champion, challenger = (generator.random(8000) < 0.1).cumsum(), (generator.random(2000) < 0.1).cumsum()
        looks = range(200, 2000, 50)
        breached += any(
            click_through(
                clicked((int(champion[4 * n - 1]), 4 * n), (int(challenger[n - 1]), n)), SETTINGS
            ).breach
            for n in looks
        )  # fmt: skip
    assert breached <= 4


def test_a_shadow_that_ranks_upside_down_is_found() -> None:
    assert agreement({"overlap sum": 0.0, "overlap count": 30}, SETTINGS).breach
    assert not agreement({"overlap sum": 6.0, "overlap count": 30}, SETTINGS).breach
    assert not agreement({"overlap sum": 0.0, "overlap count": 3}, SETTINGS).breach


def test_every_guardrail_is_told_even_when_nothing_was_counted() -> None:
    assert [one.name for one in judged({}, shadow=True, settings=SETTINGS)] == ["errors", "latency", "agreement"]
    assert [one.name for one in judged({}, shadow=False, settings=SETTINGS)] == ["errors", "latency", "click_through"]
    assert not any(one.breach for one in judged({}, shadow=False, settings=SETTINGS))
