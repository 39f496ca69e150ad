"""What fails in the background is told once for each reason, and left alone for a while."""

from __future__ import annotations

from services.runtime.setbacks import MOST, Setbacks


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_failure_rests_for_the_pause_and_is_news_once_for_each_reason() -> None:
    clock = Clock()
    setbacks = Setbacks(10.0, clock)
    assert not setbacks.resting("version 7")
    assert setbacks.failed("version 7", "damaged")
    assert setbacks.resting("version 7")
    assert not setbacks.resting("version 8")
    clock.now += 10.0
    assert not setbacks.resting("version 7")
    assert not setbacks.failed("version 7", "damaged")
    assert setbacks.failed("version 7", "missing")


def test_what_works_again_is_forgotten_and_its_next_failure_is_news() -> None:
    setbacks = Setbacks(10.0, Clock())
    setbacks.failed("registry", "away")
    setbacks.worked("registry")
    assert not setbacks.resting("registry")
    assert setbacks.failed("registry", "away")


def test_what_is_remembered_is_bounded() -> None:
    setbacks = Setbacks(10.0, Clock())
    for version in range(MOST + 1):
        setbacks.failed(version, "damaged")
    assert not setbacks.resting(0)
    assert setbacks.resting(1)
