"""DLRM: its interaction and losses by hand, its tolerance of the unknown, and its served form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.dlrm import Dlrm, DlrmConfig, binary_loss, listwise_loss
from models.layers import DotInteraction, FusedEmbedding, NumericInput
from models.normalizer import Normalizer
from models.onnx_export import export_onnx
from models.ranking import OnnxRanker, open_session
from models.spec import FeatureSpec
from tests.models.small_catalog import NOW_MS, catalog, retrieval_scores, spec, user


def test_the_interaction_is_the_dot_product_of_every_pair() -> None:
    vectors = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]]])
    # (2,1): 1*3+2*4 = 11; (3,1): 5-12 = -7; (3,2): 15-24 = -9
    assert DotInteraction(3)(vectors).tolist() == [[11.0, -7.0, -9.0]]


def test_numbers_are_normalised_and_the_unknown_is_zero_with_a_flag() -> None:
    layer = NumericInput(
        Normalizer(np.array([0, 2], np.float32), np.array([1, 0], np.float32), np.array([2, 1], np.float32))
    )
    answer = layer(torch.tensor([[5.0, 2.0], [torch.nan, 1e30]]))
    assert answer[0].tolist() == pytest.approx([2.0, np.log(2), 0.0, 0.0])
    # A value far outside is clipped to five standard deviations.
    assert answer[1].tolist() == [0.0, 5.0, 1.0, 0.0]


def test_columns_that_share_a_vocabulary_share_vectors_and_others_do_not() -> None:
    layer = FusedEmbedding([3, 3, 4], ["genre", "genre", "age"], width=2)
    vectors = layer(torch.tensor([[2.0, 2.0, 2.0]]))[0]
    assert layer.table.num_embeddings == 7
    assert torch.equal(vectors[0], vectors[1])
    assert not torch.equal(vectors[0], vectors[2])


def test_indices_outside_the_vocabulary_mean_the_unknown() -> None:
    layer = FusedEmbedding([3, 4], ["genre", "age"], width=2)
    unknown = layer(torch.zeros(1, 2))
    assert torch.equal(layer(torch.tensor([[3.0, torch.nan]])), unknown)
    assert torch.equal(layer(torch.tensor([[-1.0, 1e9]])), unknown)


def test_the_listwise_loss_is_cross_entropy_within_each_query() -> None:
    scores, labels = torch.tensor([2.0, 0.0, 1.0, 1.0, 4.0]), torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0])
    loss = listwise_loss(scores, labels, torch.ones(5), torch.tensor([0, 0, 1, 1, 1]))
    first = -np.log(np.exp(2) / (np.exp(2) + 1))
    second = -np.log(np.exp(4) / (np.exp(4) + 2 * np.exp(1)))
    assert float(loss) == pytest.approx((first + second) / 2, rel=1e-5)


def test_the_binary_loss_is_the_weighted_log_loss() -> None:
    loss = binary_loss(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0]), torch.tensor([1.0, 3.0]), torch.zeros(2))
    assert float(loss) == pytest.approx((np.log(2) + 3 * np.log1p(np.exp(2))) / 4, rel=1e-5)


def test_a_network_needs_statistics() -> None:
    with pytest.raises(ValueError, match="statistics"):
        Dlrm(spec(catalog()), DlrmConfig())


def test_the_onnx_form_scores_as_the_network_does_nan_included(tmp_path: Path) -> None:
    items = catalog()
    rows = spec(items).assemble(user(), items, items.ids, retrieval_scores(len(items)), NOW_MS)
    of: FeatureSpec = spec(items).with_normalizer(rows)
    torch.manual_seed(0)
    network = Dlrm(of, DlrmConfig(width=8, bottom=(16,), top=(16,))).eval()
    export_onnx(network, len(of.columns), tmp_path / "model.onnx")
    served = OnnxRanker(open_session(tmp_path / "model.onnx"), "dlrm", of)
    rows[np.random.default_rng(0).random(rows.shape) < 0.3] = np.nan
    rows[0] = np.nan
    for count in (1, 2, len(items)):
        with torch.inference_mode():
            expected = network(torch.from_numpy(rows[:count])).squeeze(1).numpy()
        scores = served.score(rows[:count])
        assert np.isfinite(scores).all()
        np.testing.assert_allclose(scores, expected, atol=1e-5)
