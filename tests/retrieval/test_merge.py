"""Weighted reciprocal rank fusion with quotas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.config import RetrievalConfig, SourceShare
from services.retrieval.merge import Merged, merge


def merged(proposals: list[list[int]], weights: list[float], quotas: list[int], n: int, offset: float = 60.0) -> Merged:
    return merge([np.array(rows, np.int64) for rows in proposals], weights, quotas, n, offset)


def test_fusion_is_the_sum_of_weighted_reciprocal_ranks() -> None:
    # With k = 60: row 2 gets 1/62 + 1/61, row 1 gets 1/61, row 3 gets 1/62 (Cormack et al. 2009, by hand).
    result = merged([[1, 2], [2, 3]], [1, 1], [0, 0], 3)
    assert result.rows.tolist() == [2, 1, 3]
    assert result.proposed_by.tolist() == [0b11, 0b01, 0b10]


def test_a_weight_of_zero_silences_a_source_but_not_its_quota() -> None:
    assert merged([[1, 2, 3], [8, 9]], [1, 0], [0, 1], 3).rows.tolist() == [1, 2, 8]


def test_ties_go_to_the_smaller_row() -> None:
    assert merged([[7], [3]], [1, 1], [0, 0], 2).rows.tolist() == [3, 7]


def test_nothing_proposed_is_nothing_merged() -> None:
    assert merged([[], []], [1, 1], [2, 2], 5).rows.size == 0


ROWS = st.lists(st.integers(0, 60), unique=True, max_size=30)


@given(
    proposals=st.lists(ROWS, min_size=1, max_size=4),
    weights=st.lists(st.floats(0, 2), min_size=4, max_size=4),
    quotas=st.lists(st.integers(0, 5), min_size=4, max_size=4),
    extra=st.integers(0, 30),
)
def test_merging_keeps_quotas_length_and_distinctness(
    proposals: list[list[int]], weights: list[float], quotas: list[int], extra: int
) -> None:
    count = len(proposals)
    n = max(1, sum(quotas[:count]) + extra)
    result = merged(proposals, weights[:count], quotas[:count], n)
    rows = result.rows.tolist()
    everybody = {row for proposal in proposals for row in proposal}
    assert len(rows) == len(set(rows)) == min(n, len(everybody))
    for source, proposal in enumerate(proposals):
        assert set(proposal[: quotas[source]]) <= set(rows)
        marked = {row for row, bits in zip(rows, result.proposed_by.tolist(), strict=True) if bits >> source & 1}
        assert marked == set(rows) & set(proposal)
    again = merged(proposals, weights[:count], quotas[:count], n)
    assert again.rows.tolist() == rows


def test_quotas_beyond_the_whole_list_are_refused() -> None:
    share = SourceShare(depth=1, quota=0.6, weight=1, cold_weight=1)
    with pytest.raises(ValueError, match="more than 1"):
        RetrievalConfig(shares={"two_tower": share, "co_visitation": share})


def test_a_share_for_each_source_is_asked_for() -> None:
    with pytest.raises(ValueError, match="must name each of two_tower"):
        RetrievalConfig(shares={"two_tower": SourceShare(depth=1, quota=0.6, weight=1, cold_weight=1)})
