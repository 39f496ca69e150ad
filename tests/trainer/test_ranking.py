"""From queries to a sealed ranker: what a dataset holds, and artifacts that load and rank."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.artifact import DamagedArtifact
from models.dcn_v2 import DcnV2Config
from models.dlrm import Dlrm, DlrmConfig
from models.heads import Heads
from models.lambdamart import LambdaMartConfig
from models.list_fit import ListFitConfig
from models.metrics import auc
from models.mmoe import MmoeConfig
from models.ranking import load_ranker
from models.rows import LabelledRows
from services.trainer.compute import Compute
from services.trainer.ranking import TREES_FILE, NetworkConfig, fit_ranker, with_known_heads
from services.trainer.ranking_dataset import RankingDataset, RankingQuery
from services.trainer.ranking_lists import fit_lists, held_out_loss
from tests.contracts.ranker import Fitted, RankerContract, separable_dataset
from tests.models.small_catalog import NOW_MS, catalog, retrieval_scores, spec, user

CPU = Compute(torch.device("cpu"))
FIT = ListFitConfig(epochs=8, batch_rows=240, learning_rate=0.01, threads=1)
HEADS = ("click", "like", "love", "return")
MMOE = NetworkConfig(MmoeConfig(HEADS, (1.0, 0.0, 0.0, 0.0), 4, experts=2, expert=(16,), tower=(8,)), FIT)
TREES = LambdaMartConfig(trees=5, leaves=7, min_rows_in_leaf=5, threads=1)


def queries(count: int, candidates: int = 30) -> Iterator[RankingQuery]:
    ids = np.arange(1, candidates + 1, dtype=np.uint64)
    for number in range(count):
        yield RankingQuery(user(), ids, retrieval_scores(candidates, number), number % candidates - 1, NOW_MS)


def test_a_query_keeps_its_target_and_a_bounded_sample_of_the_others() -> None:
    items = catalog()
    dataset = RankingDataset.of(queries(31), spec(items), items, negatives=10)
    # Of 31 queries two had no target among the candidates (label -1).
    assert dataset.rows.group_sizes.tolist() == [11] * 29
    assert dataset.rows.labels.reshape(29, 11).sum(axis=1).tolist() == [1.0] * 29
    assert dataset.spec.normalizer is not None


def test_sampled_rows_carry_the_ranks_of_the_whole_list() -> None:
    items = catalog()
    query = RankingQuery(user(), items.ids, retrieval_scores(len(items)), 4, NOW_MS)
    dataset = RankingDataset.of([query], spec(items), items, negatives=5)
    whole = spec(items).assemble(query.user, items, query.ids, query.retrieval_scores, query.at_ms)
    for row in dataset.rows.features:
        assert (np.nan_to_num(whole, nan=-1) == np.nan_to_num(row, nan=-1)).all(axis=1).any()
    target = dataset.rows.features[dataset.rows.labels == 1]
    np.testing.assert_array_equal(target[0], whole[4])


def test_the_sample_depends_on_the_seed_alone() -> None:
    items = catalog()
    first, same, other = (
        RankingDataset.of(queries(20), spec(items), items, negatives=5, seed=seed).rows.features for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other, equal_nan=True)


def test_queries_without_any_target_are_refused() -> None:
    items = catalog()
    with pytest.raises(ValueError, match="nothing to learn from"):
        RankingDataset.of([RankingQuery(user(), items.ids, retrieval_scores(40), -1, NOW_MS)], spec(items), items)


def test_a_split_keeps_queries_whole_and_loses_none() -> None:
    dataset = separable_dataset()
    train, held_out = dataset.split(0.25, seed=0)
    assert (train.group_sizes.size, held_out.group_sizes.size) == (150, 50)
    for part in (train, held_out):
        assert (np.add.reduceat(part.labels, np.cumsum(part.group_sizes) - part.group_sizes) == 1).all()
    both = np.concatenate([train.features, held_out.features])
    order_a, order_b = (np.lexsort(np.nan_to_num(rows).T) for rows in (both, dataset.rows.features))
    np.testing.assert_array_equal(both[order_a], dataset.rows.features[order_b])


class TestTrees(RankerContract):
    kind, config = "lambdamart", LambdaMartConfig(trees=20, leaves=7, min_rows_in_leaf=5, threads=1)

    def trained(self, folder: Path, features: NDArray[np.float32]) -> NDArray[np.float32]:
        booster = lightgbm.Booster(model_file=str(folder / TREES_FILE))
        numeric = np.ascontiguousarray(features[:, : booster.num_feature()])
        return np.asarray(booster.predict(numeric, raw_score=True), np.float32)


class TestDlrm(RankerContract):
    kind, config = "dlrm", DlrmConfig(width=8, bottom=(16,), top=(16,), epochs=8, batch_rows=240, threads=1)


class TestDcnV2(RankerContract):
    kind, config = "dcn_v2", NetworkConfig(DcnV2Config(embedding=4, rank=4, deep=(16,)), FIT)


class TestMmoe(RankerContract):
    kind, config = "mmoe", MMOE

    def test_every_head_learns_what_is_known_of_the_clicked_alone(self, fitted: Fitted) -> None:
        ranker, rows = load_ranker(fitted.folder), fitted.dataset.rows
        assert ranker.heads == Heads(("click", "like", "love", "return"), (1.0, 0.0, 0.0, 0.0))
        assert rows.reactions is not None
        logits, clicked = ranker.logits(rows.features), rows.labels > 0
        for head, labels in enumerate(rows.reactions.T, 1):
            assert auc(logits[clicked, head], labels[clicked]) > 0.8
        np.testing.assert_array_equal(ranker.score(rows.features), logits[:, 0])


def test_a_head_whose_label_nobody_knows_is_left_out() -> None:
    rows, shape = separable_dataset().rows, MMOE.shape
    assert isinstance(shape, MmoeConfig)
    assert rows.reactions is not None
    unrated = np.where(np.arange(3) < 2, np.nan, rows.reactions).astype(np.float32)
    kept = with_known_heads(shape, replace(rows, reactions=unrated))
    assert (kept.heads, kept.value) == (("click", "return"), (1.0, 0.0))
    assert with_known_heads(shape, replace(rows, reactions=None)).heads == ("click",)
    assert with_known_heads(shape, rows) == shape


def test_heads_that_the_rows_have_no_labels_for_are_refused(tmp_path: Path) -> None:
    config = NetworkConfig(MmoeConfig(("like", "click"), (1.0, 1.0)), FIT)
    with pytest.raises(ValueError, match="The heads of a ranker are click, then some of like, love, return"):
        fit_ranker("mmoe", separable_dataset(), tmp_path / "ranker", config=config)


@pytest.mark.parametrize("objective", ["listwise", "binary"])
def test_one_seed_gives_one_network_of_several_heads(objective: str) -> None:
    dataset, config = separable_dataset(), replace(FIT, objective=objective, epochs=2)
    train, held_out = dataset.split(0.2, seed=0)
    first, second, other = (
        fit_lists(train, held_out, dataset.spec, MMOE.shape, config, seed, compute=CPU).state_dict()
        for seed in (3, 3, 4)
    )
    assert all(map(torch.equal, first.values(), second.values()))
    assert not all(map(torch.equal, first.values(), other.values()))


def test_a_damaged_or_foreign_artifact_is_refused_by_name(tmp_path: Path) -> None:
    fit_ranker("lambdamart", separable_dataset(), tmp_path / "ranker", config=TREES)
    manifest = tmp_path / "ranker" / "manifest.json"
    sealed = manifest.read_text()
    changed = json.loads(sealed)
    changed["spec"]["columns"][0] = "something_else"
    manifest.write_text(json.dumps(changed))
    with pytest.raises(DamagedArtifact, match="other feature columns"):
        load_ranker(tmp_path / "ranker")
    manifest.write_text(sealed)
    (tmp_path / "ranker" / "model.onnx").write_bytes(b"")
    with pytest.raises(DamagedArtifact, match=r"model\.onnx"):
        load_ranker(tmp_path / "ranker")


def test_the_network_kept_is_the_best_epoch_and_one_seed_gives_one_network() -> None:
    dataset = separable_dataset()
    train, held_out = dataset.split(0.2, seed=0)
    config = DlrmConfig(width=4, bottom=(8,), top=(8,), epochs=12, batch_rows=240, learning_rate=0.05, threads=1)
    # A held-out part with labels at random gets worse as the fit goes on: the best epoch is not the last.
    random = np.random.default_rng(0)
    noise = LabelledRows(
        held_out.features, random.permuted(held_out.labels.reshape(-1, 12), axis=1).reshape(-1), held_out.weights,
        held_out.group_sizes,
    )  # fmt: skip
    first, second = (fit_lists(train, noise, dataset.spec, config, config, seed=5, compute=CPU) for _ in range(2))
    stubborn = fit_lists(train, train, dataset.spec, config, config, seed=5)
    assert held_out_loss(first, noise, config) == held_out_loss(second, noise, config)
    assert held_out_loss(first, noise, config) < held_out_loss(stubborn, noise, config)


def test_a_network_that_starts_from_an_earlier_one_is_never_worse_on_the_held_out_queries() -> None:
    dataset = separable_dataset()
    train, held_out = dataset.split(0.2, seed=0)
    config = DlrmConfig(width=4, bottom=(8,), top=(8,), epochs=6, batch_rows=240, learning_rate=0.02, threads=1)
    earlier = fit_lists(train, held_out, dataset.spec, config, config, seed=5)
    # Steps this long only lead away, so that the start wins against every epoch.
    wild = replace(config, learning_rate=10.0, epochs=2)
    kept = fit_lists(train, held_out, dataset.spec, wild, wild, seed=6, start=earlier.state_dict())
    assert held_out_loss(kept, held_out, config) == held_out_loss(earlier, held_out, config)
    # And short steps lead on from it.
    gentle = replace(config, learning_rate=1e-3, epochs=2)
    later = fit_lists(train, held_out, dataset.spec, gentle, gentle, seed=6, start=earlier.state_dict())
    anew = fit_lists(train, held_out, dataset.spec, gentle, gentle, seed=6)
    assert held_out_loss(later, held_out, config) < held_out_loss(earlier, held_out, config)
    assert held_out_loss(later, held_out, config) < held_out_loss(anew, held_out, config)


def test_weights_of_another_shape_cannot_be_the_start() -> None:
    dataset = separable_dataset()
    train, held_out = dataset.split(0.2, seed=0)
    config = DlrmConfig(width=4, bottom=(8,), top=(8,), epochs=1, threads=1)
    wider = Dlrm(dataset.spec, replace(config, width=8)).state_dict()
    with pytest.raises(ValueError, match="cannot be the start of this dlrm"):
        fit_lists(train, held_out, dataset.spec, config, config, seed=0, start=wider)
