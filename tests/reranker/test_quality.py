"""What the metrics tell of slates, on a catalog small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.items import ITEM_COLUMNS, ItemRows, ItemTable
from services.reranker.quality import WINDOW_SECONDS, SlateQuality, diversity
from services.runtime.metrics import COVERAGE, DIVERSITY, NOVELTY

GENRES = (("Drama",), ("Drama",), ("Comedy",), ("Drama", "Comedy"))
COUNTS = (7, 0, 3, 1)


@pytest.fixture
def items() -> ItemTable:
    features = np.full((4, len(ITEM_COLUMNS)), np.nan, np.float32)
    features[:, ITEM_COLUMNS.index("event_count")] = COUNTS
    names = ["a", "b", "c", "d"]
    return ItemTable(ItemRows(np.arange(1, 5, dtype=np.uint64), names, names, GENRES, [()] * 4, features))


def ids(*numbers: int) -> NDArray[np.uint64]:
    return np.array(numbers, np.uint64)


def total(histogram: object) -> float:
    return float(histogram._sum.get())  # type: ignore[attr-defined]  # prometheus_client has no reader


def test_diversity_is_the_mean_jaccard_distance_of_genres(items: ItemTable) -> None:
    assert diversity(items.genre_hot[[0, 1]]) == 0
    assert diversity(items.genre_hot[[0, 2]]) == 1
    assert diversity(items.genre_hot[[0, 2, 3]]) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert diversity(np.zeros((2, 2), np.float32)) == 1


def test_novelty_is_the_surprise_of_the_items_shown(items: ItemTable) -> None:
    before = total(NOVELTY)
    SlateQuality().observe(ids(1, 2), items)
    # With one added to each count: 8 and 1 of 15.
    assert total(NOVELTY) - before == pytest.approx((np.log2(15 / 8) + np.log2(15)) / 2, rel=1e-5)


def test_coverage_is_the_share_shown_within_the_window(items: ItemTable) -> None:
    now = 1000.0
    told = SlateQuality(lambda: now)
    told.observe(ids(1, 2), items)
    now += WINDOW_SECONDS / 2
    told.observe(ids(2, 3), items)
    assert told.coverage() == 0.75
    assert COVERAGE.collect()
    now += WINDOW_SECONDS / 2
    assert told.coverage() == 0.5


def test_items_nobody_knows_are_left_out(items: ItemTable) -> None:
    told, before = SlateQuality(), total(DIVERSITY)
    told.observe(ids(99), items)
    told.observe(ids(1, 99), items)
    assert (told.coverage(), total(DIVERSITY)) == (0.25, before)
