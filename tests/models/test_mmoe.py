"""MMoE: its mixture by hand, what it becomes with one expert, and the served form with every head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.mmoe import Mmoe, MmoeConfig, export_heads
from models.ranking import open_session
from tests.models.small_layout import layout, rows

SMALL = MmoeConfig(
    heads=("like", "love", "return"), value=(1.0, 0.5, 0.25), embedding=3, experts=3, expert=(8, 4), tower=(4,)
)


def network(config: MmoeConfig = SMALL, seed: int = 0) -> Mmoe:
    torch.manual_seed(seed)
    return Mmoe(layout(), config).eval()


def test_each_head_is_its_tower_on_the_experts_as_its_own_gate_mixes_them() -> None:
    mmoe, batch = network(), torch.from_numpy(rows(7))
    with torch.inference_mode():
        start = mmoe.input(batch)
        for head in range(3):
            shares = torch.softmax(start @ mmoe.gates[head].weight.T, dim=1)
            mixed = sum(shares[:, e, None] * mmoe.experts[e](start) for e in range(3))
            torch.testing.assert_close(mmoe(batch)[:, head], mmoe.towers[head](mixed)[:, 0])


def test_with_one_expert_the_gates_say_nothing_and_the_heads_share_a_bottom() -> None:
    mmoe, batch = network(replace(SMALL, experts=1)), torch.from_numpy(rows(7))
    with torch.inference_mode():
        before = mmoe(batch)
        for weight in mmoe.gates.parameters():
            weight.normal_()
        torch.testing.assert_close(mmoe(batch), before)


def test_a_gate_moves_its_own_head_alone() -> None:
    mmoe, batch = network(), torch.from_numpy(rows(7))
    with torch.inference_mode():
        before = mmoe(batch)
        for weight in mmoe.gates[1].parameters():
            weight.normal_()
        after = mmoe(batch)
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
    assert not torch.allclose(after[:, 1], before[:, 1])


def test_the_same_seed_gives_the_same_network() -> None:
    batch = torch.from_numpy(rows(7))
    with torch.inference_mode():
        assert torch.equal(network(seed=3)(batch), network(seed=3)(batch))
        assert not torch.equal(network(seed=3)(batch), network(seed=4)(batch))


def test_heads_have_different_names_and_a_value_each() -> None:
    with pytest.raises(ValueError, match="different names"):
        MmoeConfig(heads=("like", "like"), value=(1.0, 1.0))
    with pytest.raises(ValueError, match="value for each of 2 heads, got 1"):
        MmoeConfig(heads=("like", "love"))


def test_the_onnx_form_tells_every_head_and_the_one_score_nan_included(tmp_path: Path) -> None:
    mmoe = network()
    export_heads(mmoe, SMALL, 5, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    for count in (1, 2, 50):
        batch = rows(count, unknown=0.3)
        with torch.inference_mode():
            expected = mmoe(torch.from_numpy(batch)).numpy()
        heads, scores = session.run(["heads", "scores"], {"features": batch})
        assert np.isfinite(heads).all()
        np.testing.assert_allclose(heads, expected, atol=1e-5)
        logs = -np.logaddexp(0, -expected)
        np.testing.assert_allclose(scores[:, 0], logs @ np.array([1.0, 0.5, 0.25]), atol=1e-5)
