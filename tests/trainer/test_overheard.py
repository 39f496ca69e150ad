"""The place of what came next, told without merging, is its place in the merged list."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.config import RetrievalConfig, SourceShare
from services.retrieval.merge import merge
from services.trainer.overheard import Overheard

NAMES = ("two_tower", "co_visitation", "popularity")
N = 8

Lists = st.lists(st.lists(st.integers(0, 15), max_size=N, unique=True), min_size=3, max_size=3)
Shares = st.builds(
    lambda depth, quota, weight: SourceShare(max(depth, quota), quota, weight, weight),
    st.sampled_from([0.25, 0.5, 1.0]),
    st.sampled_from([0.0, 0.125, 0.3]),
    st.sampled_from([0.0, 0.1, 1.0]),
)


@given(
    st.lists(st.tuples(Lists, st.integers(0, 15)), min_size=1, max_size=6),
    st.lists(Shares, min_size=3, max_size=3),
)
def test_it_agrees_with_the_merge_that_serves(
    told: list[tuple[list[list[int]], int]], shares: list[SourceShare]
) -> None:
    said = [[np.array(rows, np.int64) for rows in lists] for lists, _ in told]
    start = RetrievalConfig()
    config = replace(start, shares={**start.shares, **dict(zip(NAMES, shares, strict=True))})
    ranks = Overheard.of(NAMES, N, said, [target for _, target in told]).target_ranks(config)
    for rank, lists, (_, target) in zip(ranks, said, told, strict=True):
        merged = merge(
            [rows[: math.ceil(share.depth * N)] for rows, share in zip(lists, shares, strict=True)],
            [share.weight for share in shares],
            [int(share.quota * N) for share in shares],
            N,
            config.rank_offset,
        )
        place = np.flatnonzero(merged.rows == target)
        assert rank == (place[0] + 1 if place.size else np.inf)
