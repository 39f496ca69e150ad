"""When speculation pays, and when it is slower."""

from __future__ import annotations

import pytest

from loadtests.llm.engine_speculation import Compared, report


def compared(kind: str, at_once: int, ratio: float, noise: float = 0.02) -> Compared:
    return Compared(kind, at_once, [100.0] * 3, [ratio] * 3, [1 + noise, 1 - noise, 1.0], 10, 8)


def failing(*found: Compared) -> list[str]:
    return [verdict.name for verdict in report(found).verdicts if not verdict.held]


def test_the_copying_caller_alone_must_reach_the_ratio() -> None:
    assert failing(compared("copy", 1, 1.4), compared("copy", 4, 1.1)) == []
    assert failing(compared("copy", 1, 1.39), compared("copy", 4, 1.5)) == ["speculation, copy-like prompts, 1 caller"]


def test_slower_is_what_is_slower_than_the_noise() -> None:
    assert failing(compared("copy", 1, 1.5), compared("free", 4, 0.98)) == []
    assert failing(compared("copy", 1, 1.5), compared("free", 4, 0.97)) == ["speculation is never slower than off"]


def test_ratio_and_noise_are_medians_over_the_rounds() -> None:
    found = Compared("free", 1, [100.0] * 3, [1.0, 1.2, 3.0], [0.9, 1.03, 1.04])
    assert found.ratio == 1.2
    assert found.noise == pytest.approx(0.04)
