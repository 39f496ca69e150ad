"""Eight bits serve where lists are as good by them, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.dcn_v2 import DcnV2Config
from models.dlrm import DlrmConfig
from models.list_fit import ListFitConfig
from models.mmoe import MmoeConfig
from models.onnx_export import export_onnx
from models.ranking import MODEL_FILE, OnnxRanker, load_ranker, open_session
from models.rows import LabelledRows
from services.trainer.kinds import Kind
from services.trainer.ranking import NetworkConfig, RankerConfig, fit_ranker
from services.trainer.serving_form import settle_int8, target_ranks
from tests.contracts.ranker import separable_dataset
from tests.models.small_catalog import catalog, spec

FIT = ListFitConfig(epochs=6, batch_rows=240, learning_rate=0.01, threads=1)
HEADS = ("click", "like", "love", "return")
NETWORKS: dict[Kind, RankerConfig] = {
    "dlrm": DlrmConfig(epochs=6, batch_rows=240, learning_rate=0.01),
    "dcn_v2": NetworkConfig(DcnV2Config(), FIT),
    "mmoe": NetworkConfig(MmoeConfig(HEADS, (1.0, 0.0, 0.0, 0.0), 4, experts=2, expert=(16,), tower=(8,)), FIT),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_in_eight_bits_orders_as_the_trained_one(kind: Kind, tmp_path: Path) -> None:
    dataset = separable_dataset()
    exact, small = (
        fit_ranker(kind, dataset, tmp_path / name, config=NETWORKS[kind], held_out=0.3, int8=int8)
        for name, int8 in (("exact", False), ("small", True))
    )
    assert "int8_serves" not in exact.metrics
    assert small.metrics["int8_serves"] == 1.0
    assert abs(small.metrics["int8_ndcg_change"]) < 0.01
    sizes = [(tmp_path / name / MODEL_FILE).stat().st_size for name in ("small", "exact")]
    assert sizes[0] < 0.8 * sizes[1]
    rows = dataset.rows.features
    scores, trained = (load_ranker(tmp_path / name).score(rows) for name in ("small", "exact"))
    assert not np.array_equal(scores, trained)
    assert np.corrcoef(scores, trained)[0, 1] > 0.99
    assert np.isfinite(load_ranker(tmp_path / "small").score(np.full_like(rows[:3], np.nan))).all()


def test_what_gets_worse_in_eight_bits_serves_as_it_was(tmp_path: Path) -> None:
    # The second column decides, and beside the first it is smaller than a step of eight bits.
    first, last = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.eye(2))
        last.weight.fill_(1.0)
    export_onnx(nn.Sequential(first, last), 2, tmp_path / MODEL_FILE)
    before = (tmp_path / MODEL_FILE).read_bytes()
    features = np.tile(np.array([[1000.0, 0.0]], np.float32), (400, 1))
    labels = np.zeros(400, np.float32)
    features[19::20, 1], labels[19::20] = 1.0, 1.0
    rows = LabelledRows(features, labels, np.ones(400, np.float32), np.full(20, 20))
    columns = spec(catalog())
    ranker = OnnxRanker(open_session(tmp_path / MODEL_FILE), "dlrm", columns)
    assert target_ranks(ranker.score(features), rows).max() == 1.0
    told = settle_int8(tmp_path, ranker, columns, None, rows)
    assert told["int8_serves"] == 0.0
    assert told["int8_ndcg_change_high"] < 0
    assert (tmp_path / MODEL_FILE).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [MODEL_FILE]


def test_the_target_ranks_behind_every_score_of_its_own_list_that_is_no_lower() -> None:
    rows = LabelledRows(
        np.zeros((5, 1), np.float32), np.array([0, 1, 0, 1, 0], np.float32), np.ones(5, np.float32), np.array([3, 2])
    )
    assert target_ranks(np.array([3.0, 2.0, 1.0, 5.0, 5.0], np.float32), rows).tolist() == [2.0, 2.0]
