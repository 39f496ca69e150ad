from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.interests import nearest_scores


@given(items=st.integers(0, 40), interests=st.integers(1, 6), width=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_an_item_scores_what_its_nearest_interest_says(items: int, interests: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    table = random.normal(size=(items, width)).astype(np.float32)
    vectors = random.normal(size=(interests, width)).astype(np.float32)
    each = np.stack([nearest_scores(table, vector[None]) for vector in vectors])
    np.testing.assert_array_equal(each[0], table @ vectors[0])
    np.testing.assert_array_equal(nearest_scores(table, vectors), each.max(axis=0))
