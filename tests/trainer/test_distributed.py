from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.dlrm import Dlrm
from models.list_fit import ListFitConfig
from models.mmoe import Mmoe, MmoeConfig
from models.two_tower import TwoTower, TwoTowerConfig
from services.runtime.errors import SettingsError
from services.trainer.compute import Compute, Resources
from services.trainer.fits import tower_on
from services.trainer.ranking_lists import ListFit, fit_lists, held_out_loss
from services.trainer.tower_fit import HeldOut, TowerFit, fit_tower
from tests.trainer.small_fits import CPU, NETWORK, SHAPE, TOWERS, network, ranking_rows, towers_data

STILL = TwoTowerConfig(width=16, dropout=0.0, item_dropout=0.0, user_dropout=0.0)
"""Without dropout, which every process draws for itself, a shared fit is the fit of one process."""
FIT = ListFitConfig(epochs=1)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    return [torch.zeros_like(p) if g is None else g for p, g in zip(
        model.parameters(), torch.autograd.grad(loss, list(model.parameters()), allow_unused=True), strict=True
    )]  # fmt: skip


def tower_gradients(world: int, rank: int, windows: int) -> list[Tensor]:
    nobody = np.empty(0, np.int64)
    data, none = towers_data(), HeldOut(nobody, nobody, nobody)
    torch.manual_seed(0)
    model = TwoTower(data.inputs, data.content, STILL)
    compute = Compute(torch.device("cpu"), rank, world)
    config = replace(TOWERS, batch_windows=windows)
    fit = TowerFit(model, data, none, config, compute, 0, np.random.default_rng(0), False, None, None)
    return gradients(model, fit.loss(model, next(fit.batches())))


def network_gradients(world: int, rank: int, rows: int, objective: str) -> list[Tensor]:
    train, held_out, layout = ranking_rows()
    config = replace(NETWORK, objective=objective, batch_rows=rows)
    torch.manual_seed(0)
    model = Dlrm(layout, config)
    # Weights that differ from query to query: shares of a batch must not count by their number of rows.
    weights = np.random.default_rng(0).uniform(0.5, 2.0, train.weights.size).astype(np.float32)
    compute = Compute(torch.device("cpu"), rank, world)
    fit = ListFit(model, replace(train, weights=weights), held_out, config, compute, 0, -math.inf, None, None)
    return gradients(model, fit.loss(model, next(fit.batches())))


def assert_mean_is(whole: list[Tensor], shares: list[list[Tensor]]) -> None:
    for gradient, *parts in zip(whole, *shares, strict=True):
        torch.testing.assert_close(torch.stack(parts).mean(dim=0), gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("windows", [16, 2, 1])
def test_the_mean_gradient_of_three_shares_is_that_of_the_whole_batch_of_windows(windows: int) -> None:
    assert_mean_is(tower_gradients(1, 0, windows), [tower_gradients(3, rank, windows) for rank in range(3)])


@pytest.mark.parametrize("objective", ["listwise", "binary"])
@pytest.mark.parametrize("rows", [240, 24, 12])
def test_the_mean_gradient_of_three_shares_is_that_of_the_whole_batch_of_queries(rows: int, objective: str) -> None:
    shares = [network_gradients(3, rank, rows, objective) for rank in range(3)]
    assert_mean_is(network_gradients(1, 0, rows, objective), shares)


@pytest.mark.parametrize("rows", [240, 24, 12])
def test_the_mean_gradient_of_three_shares_is_that_of_the_whole_batch_for_every_head(rows: int) -> None:
    train, held_out, layout = ranking_rows()
    random = np.random.default_rng(0)
    reactions = np.where(train.labels[:, None] > 0, random.integers(0, 2, (len(train), 3)), np.nan).astype(np.float32)
    shape = MmoeConfig(("click", "like", "return"), (1.0, 0.0, 0.0), 2, experts=2, expert=(8,), tower=())
    found = []
    for world, rank in ((1, 0), (3, 0), (3, 1), (3, 2)):
        torch.manual_seed(0)
        model, config = Mmoe(layout, shape), replace(FIT, batch_rows=rows)
        fit = ListFit(
            model, replace(train, reactions=reactions), held_out, config, Compute(torch.device("cpu"), rank, world), 0,
            -math.inf, None, None, np.array([0, 2]),
        )  # fmt: skip
        found.append(gradients(model, fit.loss(model, next(fit.batches()))))
    assert_mean_is(found[0], found[1:])


def test_towers_fitted_by_two_processes_are_those_of_one(tmp_path: Path) -> None:
    data, seen = towers_data(), list[tuple[int, int]]()
    alone, metrics = tower_on(Resources("cpu"), data, STILL, TOWERS, 0)
    shared, told = tower_on(
        Resources("cpu", processes=2), data, STILL, TOWERS, 0,
        progress=lambda done, planned: seen.append((done, planned)), checkpoint=tmp_path / "kept" / "towers",
    )  # fmt: skip
    # Item vectors and held-out ranks: weights that the loss does not feel, as an attention's key bias, may differ.
    torch.testing.assert_close(shared.items(), alone.items(), rtol=1e-4, atol=1e-5)
    assert told == metrics
    assert seen == sorted(seen)
    assert seen[0][0] == 1
    assert seen[-1][0] == seen[-1][1]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["towers"]


def test_bfloat16_layers_learn_as_well_and_leave_float32_weights() -> None:
    half = replace(CPU, bf16=True)
    towers, metrics = fit_tower(towers_data(), SHAPE, TOWERS, 0, compute=half)
    assert metrics["held_out_hr@10"] > 0.8
    train, held_out, layout = ranking_rows()
    ranker = fit_lists(train, held_out, layout, NETWORK, NETWORK, 0, compute=half)
    whole = held_out_loss(network(), held_out, NETWORK)
    assert held_out_loss(ranker, held_out, NETWORK) == pytest.approx(whole, rel=0.02)
    assert not all(map(torch.equal, ranker.state_dict().values(), network().state_dict().values()))
    assert {value.dtype for model in (towers, ranker) for value in model.parameters()} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_by_the_name_of_the_setting() -> None:
    with pytest.raises(SettingsError, match="CASCADE_TRAINER_DEVICE"):
        Compute.detect("cuda")
    assert Compute.detect("auto") == CPU


@needs_gpu
def test_a_gpu_fits_towers_and_networks_as_good_as_a_cpu() -> None:
    gpu = Compute.detect("cuda")
    towers, metrics = fit_tower(towers_data(), SHAPE, TOWERS, 0, compute=gpu)
    assert metrics["held_out_hr@10"] > 0.8
    train, held_out, layout = ranking_rows()
    ranker = fit_lists(train, held_out, layout, NETWORK, NETWORK, 0, compute=gpu)
    assert held_out_loss(ranker, held_out, NETWORK) == pytest.approx(
        held_out_loss(network(), held_out, NETWORK), rel=0.02
    )
    assert {value.device.type for model in (towers, ranker) for value in model.parameters()} == {"cpu"}


@needs_gpu
def test_a_gpu_computes_the_gradients_of_a_cpu() -> None:
    train, held_out, layout = ranking_rows()
    found = []
    for compute in (CPU, Compute.detect("cuda", bf16=False)):
        torch.manual_seed(0)
        model = Dlrm(layout, NETWORK)
        fit = ListFit(model, train, held_out, NETWORK, compute, 0, -math.inf, None, None)
        found.append([gradient.cpu() for gradient in gradients(model, fit.loss(model, next(fit.batches())))])
    assert_mean_is(found[0], [found[1]])


@needs_gpu
def test_more_processes_than_gpus_are_refused_by_the_name_of_the_setting() -> None:
    with pytest.raises(SettingsError, match="CASCADE_TRAINER_PROCESSES"):
        Resources("cuda", torch.cuda.device_count() + 1).check()
