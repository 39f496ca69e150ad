"""Ratios and verdicts of the engine's bench."""

from __future__ import annotations

import io
import math

import orjson
import pytest
from rich.console import Console

from loadtests.llm.engine_part import Part, Spent, at_least, at_most, measured, paired_ratio


def spent(*seconds: float) -> list[Spent]:
    return [Spent(one, 2 * one) for one in seconds]


def test_a_ratio_is_the_median_over_the_rounds_and_not_that_of_their_sums() -> None:
    assert paired_ratio(spent(2, 4, 300), spent(1, 1, 100)) == 3
    assert paired_ratio([Spent(1, 8)], [Spent(1, 2)], "wall") == 4
    assert math.isnan(paired_ratio([], []))


def test_rounds_that_have_no_pair_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_ratio(spent(1, 2), spent(1))


def test_what_could_not_be_measured_has_not_held() -> None:
    assert at_least("speed", 2, 2.0).held
    assert not at_least("speed", 2, 1.99).held
    assert not at_least("speed", 2, math.nan).held
    assert at_most("waste", 0.07, 0.07).held
    assert not at_most("waste", 0.07, 0.071).held
    assert not at_most("waste", 0.07, math.nan).held


def test_work_is_done_once_while_both_clocks_run() -> None:
    done: list[int] = []
    found = measured(lambda: done.append(sum(range(20_000))))
    assert len(done) == 1
    assert found.cpu > 0
    assert found.wall > 0


def test_a_part_tells_its_rows_and_notes_and_its_figures_are_plain() -> None:
    part = Part(
        "Prefix", ("cache", "ms"), [("off", "61.2")], {"ratio": 6.5}, [at_least("first token", 6, 6.5)], ["So."]
    )
    console = Console(file=io.StringIO(), width=80)
    part.show(console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert all(word in shown for word in ("Prefix", "61.2", "So."))
    told = orjson.loads(orjson.dumps(part.summary()))
    assert told["ratio"] == 6.5
    assert told["verdicts"][0]["held"]
