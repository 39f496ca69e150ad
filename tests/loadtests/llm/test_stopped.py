"""What is told of recommendations beside stopped language models."""

from __future__ import annotations

from collections import Counter

import pytest

from loadtests.bench import Round
from loadtests.llm.stopped import Seen


def seen(*milliseconds: float) -> Seen:
    """A turn for each, of equal answers."""
    return Seen([Round(1, 2, 1.0, [each, each], {}, 0, 0) for each in milliseconds], Counter(model=3))


def test_ratios_are_of_the_same_turn_and_their_median_is_told() -> None:
    told = seen(20.0, 30.0, 90.0).summary(seen(10.0, 30.0, 30.0))
    assert (told["p50_ms"], told["p50_ratio"], told["p99_ratio"]) == (30.0, 2.0, 2.0)
    assert told["explanations"] == {"model": 3}


def test_turns_that_are_missing_are_no_comparison() -> None:
    with pytest.raises(ValueError, match="zip"):
        seen(20.0).beside(seen(10.0, 10.0), "p50")
