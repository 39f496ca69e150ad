"""Matrix products in int8."""

from __future__ import annotations

import warnings

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from services.llm.engine.projections import DenseProjection, Int8Projection

EPSILON = 1e-5


def draw(seed: int, *sizes: int) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 9), scale=st.floats(-3, 3))
@settings(deadline=None, max_examples=25)
def test_each_row_is_within_two_percent_whatever_the_size_of_its_neighbours(seed: int, rows: int, scale: float) -> None:
    matrix, x = draw(seed, 96, 64), draw(seed + 1, rows, 64)
    x[0] *= 10**scale
    for epsilon in (None, EPSILON):
        exact, rounded = DenseProjection(matrix, epsilon)(x), Int8Projection(matrix, epsilon)(x)
        assert float(((rounded - exact).norm(dim=1) / exact.norm(dim=1)).max()) < 0.02


def test_a_row_s_result_does_not_depend_on_its_batch() -> None:
    product, x = Int8Projection(draw(0, 96, 64), EPSILON), draw(1, 12, 64)
    x[3] *= 100
    together = product(x)
    for row in range(12):
        torch.testing.assert_close(product(x[row : row + 1])[0], together[row], rtol=1e-6, atol=1e-6)


def test_a_row_of_zeros_stays_zero() -> None:
    assert Int8Projection(draw(0, 8, 64), EPSILON)(torch.zeros(1, 64)).tolist() == [[0.0] * 8]


def test_packing_leaves_the_library_s_settings_and_the_user_alone() -> None:
    before = torch.backends.quantized.engine
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        Int8Projection(draw(0, 8, 64))
    assert (torch.backends.quantized.engine, heard) == (before, [])
