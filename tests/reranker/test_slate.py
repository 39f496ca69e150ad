"""The rules together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.items import ItemTable
from services.reranker.config import (
    CapConfig,
    DiversityConfig,
    ExplorationConfig,
    FreshnessConfig,
    SlateConfig,
)
from services.reranker.slate import compose
from tests.retrieval.features_peer import item_rows

ALWAYS = ExplorationConfig(rate=1.0)


def random_catalog(size: int, seed: int = 0) -> ItemTable:
    random = np.random.default_rng(seed)
    names, people = ["Action", "Comedy", "Drama", "Horror"], ["x", "y", "z"]
    return ItemTable(
        item_rows(
            list(range(1, size + 1)),
            [random.choice(names, random.integers(0, 3), replace=False).tolist() for _ in range(size)],
            [random.choice(people, random.integers(0, 3), replace=False).tolist() for _ in range(size)],
            year=random.integers(1930, 2000, size).tolist(),
            created_days=random.integers(0, 1000, size).tolist(),
            event_count=random.integers(0, 60, size).tolist(),
        )
    )


CATALOG = random_catalog(300)
CONFIGS = {
    "default": SlateConfig(),
    "dpp": SlateConfig(diversity=DiversityConfig(method="dpp", trade_off=0.5), exploration=ALWAYS),
    "strict": SlateConfig(
        DiversityConfig(trade_off=0.3), CapConfig(share=0.1), CapConfig(share=0.1), FreshnessConfig(at_least=3), ALWAYS
    ),
    "off": SlateConfig.off(),
}


@pytest.mark.parametrize("name", CONFIGS)
@given(
    ids=st.lists(st.integers(1, 400), max_size=80),
    n=st.integers(1, 30),
    seed=st.integers(0, 2**63),
)
@settings(deadline=None, max_examples=60)
def test_a_slate_has_n_distinct_candidates_whenever_there_are_n(name: str, ids: list[int], n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.where(random.random(len(ids)) < 0.2, np.nan, random.normal(size=len(ids))).astype(np.float32)
    slate = compose(np.array(ids, np.uint64), values, n, CATALOG, CONFIGS[name], seed=seed, now_days=1000)
    shown = slate.ids.tolist()
    assert len(shown) == len(set(shown)) == min(n, len(set(ids)))
    assert set(shown) <= set(ids)
    assert len(slate.slots) == slate.propensities.size == len(shown)
    assert ((slate.propensities > 0) & (slate.propensities <= 1)).all()
    for report in slate.reports:
        gone = [item for items in report.removed.values() for item in items.tolist()]
        assert len(gone) == len(set(gone))
        assert report.kept + len(gone) == len(set(ids))


def test_without_rules_the_slate_is_the_order_of_scores_with_nan_last_and_ties_by_id() -> None:
    ids = np.array([5, 4, 3, 2, 1], np.uint64)
    scores = np.array([0.5, np.nan, 0.5, -1, 2], np.float32)
    slate = compose(ids, scores, 5, CATALOG, SlateConfig.off())
    assert slate.ids.tolist() == [1, 3, 5, 2, 4]
    assert slate.slots == ("ranked",) * 5
    assert slate.propensities.tolist() == [1.0] * 5
    assert slate.reports == ()


def test_nan_ranks_below_every_finite_score_under_diversity() -> None:
    ids = np.arange(1, 41, dtype=np.uint64)
    scores = np.where(np.arange(40) < 20, np.nan, np.linspace(1, 0, 40)).astype(np.float32)
    off = CapConfig(on=False)
    config = SlateConfig(DiversityConfig(), off, off, FreshnessConfig(on=False), ExplorationConfig(on=False))
    assert (compose(ids, scores, 5, CATALOG, config).ids > 20).all()


def test_the_order_of_the_request_does_not_matter() -> None:
    random = np.random.default_rng(4)
    ids, scores = np.arange(1, 101, dtype=np.uint64), random.normal(size=100).astype(np.float32)
    shuffled = random.permutation(100)
    first = compose(ids, scores, 10, CATALOG, CONFIGS["dpp"], seed=3, now_days=1000)
    second = compose(ids[shuffled], scores[shuffled], 10, CATALOG, CONFIGS["dpp"], seed=3, now_days=1000)
    assert first.ids.tolist() == second.ids.tolist()
    assert first.propensities.tolist() == second.propensities.tolist()


def test_of_an_id_that_comes_twice_the_better_score_counts() -> None:
    slate = compose(
        np.array([1, 2, 1], np.uint64), np.array([0.1, 0.5, 0.9], np.float32), 2, CATALOG, SlateConfig.off()
    )
    assert slate.ids.tolist() == [1, 2]


def test_caps_hold_after_freshness_and_exploration_too() -> None:
    config = SlateConfig(
        genre_cap=CapConfig(share=0.2), creator_cap=CapConfig(on=False), freshness=FreshnessConfig(at_least=2),
        exploration=ALWAYS,
    )  # fmt: skip
    random = np.random.default_rng(0)
    for seed in range(50):
        slate = compose(CATALOG.ids, random.normal(size=300).astype(np.float32), 10, CATALOG, config,
                        seed=seed, now_days=1000)  # fmt: skip
        sets = [frozenset(CATALOG.genres[row]) for row in CATALOG.rows_of(slate.ids).tolist()]
        assert all(sets.count(genres) <= 2 for genres in sets if genres)
        assert not any("relaxed" in reason for report in slate.reports for reason in report.removed)


def test_slots_and_propensity_say_how_an_item_came_to_its_place() -> None:
    ids = np.arange(1, 31, dtype=np.uint64)
    created, counts = [0.0] * 30, [1000.0] * 30
    created[14], counts[14] = 995.0, 0.0
    table = ItemTable(item_rows(list(range(1, 31)), created_days=created, event_count=counts))
    slate = compose(ids, np.linspace(1, 0, 30, dtype=np.float32), 6, table, SlateConfig(exploration=ALWAYS),
                    seed=1, now_days=1000)  # fmt: skip
    assert slate.slots == ("ranked", "ranked", "ranked", "ranked", "fresh", "explore")
    assert slate.ids[4] == 15
    assert slate.propensities[:5].tolist() == [1.0] * 5
    assert 0 < slate.propensities[5] < 1
    assert [report.rule for report in slate.reports] == [
        "diversity", "genre_cap", "creator_cap", "freshness", "exploration"
    ]  # fmt: skip


def test_a_relaxed_cap_is_said() -> None:
    table = ItemTable(item_rows([1, 2, 3], [["Drama"]] * 3))
    slate = compose(np.arange(1, 4, dtype=np.uint64), np.array([3, 2, 1], np.float32), 3, table, SlateConfig())
    assert slate.ids.size == 3
    assert any("relaxed for 1" in reason for report in slate.reports for reason in report.removed)


def test_a_short_slate_is_not_explored() -> None:
    slate = compose(CATALOG.ids, np.ones(300, np.float32), 2, CATALOG, SlateConfig(exploration=ALWAYS), seed=1)
    assert "explore" not in slate.slots
