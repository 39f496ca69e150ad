"""DCN-v2: its cross layers by hand, their degree, their size, and the served form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.dcn_v2 import DcnV2, DcnV2Config, FullCross, LowRankCross
from models.onnx_export import export_onnx
from models.ranking import open_session
from tests.models.small_layout import layout, rows

SMALL = DcnV2Config(embedding=3, rank=2, deep=(8, 4))


def test_a_full_cross_is_equation_1_by_hand() -> None:
    cross = FullCross(2)
    with torch.no_grad():
        cross.linear.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, -1.0]]))
        cross.linear.bias.copy_(torch.tensor([0.5, 0.0]))
    start, x = torch.tensor([[2.0, 3.0]]), torch.tensor([[4.0, 5.0]])
    # (2 * (4 + 10 + 0.5) + 4, 3 * -5 + 5)
    assert cross(start, x).tolist() == [[33.0, -10.0]]


def test_layers_of_identity_hold_a_polynomial_of_one_degree_more() -> None:
    """With W = I and b = 0 a layer multiplies by (1 + x0), so L layers are x0 (1 + x0)^L (theorem 3.1)."""
    start = torch.tensor([[2.0, -3.0]])
    x = start
    for _ in range(3):
        cross = FullCross(2)
        nn.init.eye_(cross.linear.weight)
        nn.init.zeros_(cross.linear.bias)
        x = cross(start, x)
    assert x.tolist() == [[2.0 * 3**3, -3.0 * (-2) ** 3]]


def test_a_low_rank_cross_is_equation_3_with_a_softmax_gate() -> None:
    torch.manual_seed(0)
    cross = LowRankCross(3, rank=2, experts=2)
    nn.init.normal_(cross.bias)
    start, x = torch.randn(1, 3), torch.randn(1, 3)
    shares = torch.softmax(cross.gate(x)[0], dim=0)
    expected = x.clone()
    for expert in range(2):
        inside = torch.tanh(torch.tanh(x @ cross.down[expert]) @ cross.middle[expert])
        expected = expected + shares[expert] * start * (inside @ cross.up[expert] + cross.bias)
    torch.testing.assert_close(cross(start, x), expected)


def test_low_rank_costs_two_factors_where_full_costs_a_square() -> None:
    full, low = FullCross(100), LowRankCross(100, rank=10, experts=1)
    assert sum(p.numel() for p in full.parameters()) == 100 * 100 + 100
    # U and V of 100 x 10, C of 10 x 10, the bias, and a gate of one expert.
    assert sum(p.numel() for p in low.parameters()) == 2 * 100 * 10 + 10 * 10 + 100 + 100


def test_a_network_needs_statistics_and_a_shape_that_exists() -> None:
    with pytest.raises(ValueError, match="statistics"):
        DcnV2(replace(layout(), normalizer=None), SMALL)
    with pytest.raises(ValueError, match="one cross layer"):
        DcnV2Config(cross_layers=0)


def test_the_onnx_form_scores_as_the_network_does_nan_included(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = DcnV2(layout(), SMALL).eval()
    export_onnx(network, 5, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    for count in (1, 2, 50):
        batch = rows(count, unknown=0.3)
        with torch.inference_mode():
            expected = network(torch.from_numpy(batch)).numpy()
        (scores,) = session.run(["scores"], {"features": batch})
        assert scores.shape == (count, 1)
        assert np.isfinite(scores).all()
        np.testing.assert_allclose(scores, expected, atol=1e-5)
