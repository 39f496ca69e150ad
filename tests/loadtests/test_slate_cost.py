"""What rules of a slate cost, on lists made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtests.slate_cost import Point, Ranked, curve, draw, settings, table
from tests.models.small_catalog import catalog


@pytest.fixture(scope="module")
def points() -> list[Point]:
    items = catalog()
    random = np.random.default_rng(0)
    ranked = []
    for target in items.ids.tolist()[:30]:
        ids = random.permutation(items.ids)
        # What came next stands first in half of the lists and last on the slate in the others.
        ids = np.insert(ids[ids != target], random.choice([0, 9]), np.uint64(target))
        ranked.append(Ranked(ids, -np.arange(ids.size, dtype=np.float32), int(target), 20_000.0))
    return curve(ranked, items, lambda done, planned: None)


def test_the_first_point_is_that_of_the_ranked_order(points: list[Point]) -> None:
    first = points[0]
    assert (first.rule, first.hr, first.ndcg_change) == ("off", 1.0, 0.0)
    # Half at the first place, half at the tenth.
    assert 1 / np.log2(11) < first.ndcg < 1


def test_every_setting_has_its_point(points: list[Point]) -> None:
    assert [(one.rule, one.strength) for one in points[1:]] == [(rule, at) for rule, at, _ in settings()]
    assert all(one.ndcg_low <= one.ndcg_change <= one.ndcg_high for one in points)


def test_a_stronger_rule_buys_more_diversity_and_costs_more(points: list[Point]) -> None:
    mmr = {one.strength: one for one in points if one.rule == "mmr"}
    assert mmr[0.3].diversity > mmr[0.95].diversity >= points[0].diversity
    assert mmr[0.3].ndcg_change < mmr[0.99].ndcg_change <= 0


def test_people_see_a_table_and_a_picture(points: list[Point], tmp_path: Path) -> None:
    assert table(points).row_count == len(points)
    draw(points, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")
