from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.losses import heads_loss, known_weight, sampled_info_nce


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_two_items_give_the_loss_computed_by_hand() -> None:
    users = torch.tensor([[[1.0, 0.0]]])
    items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = sampled_info_nce(users, torch.tensor([0]), items, torch.tensor([1]), torch.zeros(2), temperature=0.5)
    assert math.isclose(loss.item(), math.log(1 + math.exp(-2)), rel_tol=1e-6)


def test_every_item_drawn_once_is_the_full_softmax() -> None:
    users, items = unit(7, 1, 8), unit(20, 8, seed=1)
    targets = torch.arange(7)
    sampled = sampled_info_nce(users, targets, items, torch.arange(20), torch.zeros(20), temperature=0.1)
    full = F.cross_entropy(users[:, 0] @ items.T / 0.1, targets)
    assert torch.isclose(sampled, full, rtol=1e-5)


def test_a_negative_that_is_the_target_does_not_count() -> None:
    users, items = unit(1, 1, 8), unit(5, 8, seed=1)
    negatives = torch.tensor([3, 2, 2])
    with_hits = sampled_info_nce(users, torch.tensor([2]), items, negatives, torch.zeros(5), 0.1)
    without = sampled_info_nce(users, torch.tensor([2]), items, negatives[:1], torch.zeros(5), 0.1)
    assert torch.equal(with_hits, without)


def test_the_correction_makes_the_denominator_unbiased() -> None:
    random = np.random.default_rng(0)
    users, items = unit(1, 1, 8), unit(50, 8, seed=1)
    share = 0.2 + random.random(50)
    share /= share.sum()
    target, drawn, temperature = 4, 200, 0.5
    log_expected = torch.from_numpy(np.log(share * drawn).astype(np.float32))
    positive = math.exp(float(users[0, 0] @ items[target]) / temperature)
    denominators = []
    for _ in range(400):
        negatives = torch.from_numpy(random.choice(50, drawn, p=share))
        loss = sampled_info_nce(users, torch.tensor([target]), items, negatives, log_expected, temperature)
        denominators.append(positive * math.exp(loss.item()))
    exact = float((users @ items.T / temperature).exp().sum())
    assert abs(np.mean(denominators) / exact - 1) < 0.02


def test_the_gradient_pulls_the_target_and_pushes_the_negatives() -> None:
    users, items = unit(1, 1, 4).requires_grad_(), unit(3, 4, seed=1)
    loss = sampled_info_nce(users, torch.tensor([0]), items, torch.tensor([1, 2]), torch.zeros(3), 0.1)
    (gradient,) = torch.autograd.grad(loss, users)
    moved = (F.normalize(users.detach() - 0.01 * gradient, dim=2) @ items.T - users.detach() @ items.T)[0]
    assert moved[0, 0] > 0
    assert moved[0, 1:].min() < 0


def test_with_several_interests_every_item_is_scored_by_the_nearest() -> None:
    users, items, targets = unit(7, 3, 8), unit(20, 8, seed=1), torch.arange(7)
    sampled = sampled_info_nce(users, targets, items, torch.arange(20), torch.zeros(20), temperature=0.1)
    full = F.cross_entropy((users @ items.T).amax(dim=1) / 0.1, targets)
    assert torch.isclose(sampled, full, rtol=1e-5)


def test_only_the_interest_that_speaks_for_an_item_learns_from_it() -> None:
    users = torch.eye(3)[None].requires_grad_()
    items = F.normalize(torch.tensor([[0.1, 1.0, 0.0], [0.1, 0.0, 1.0]]), dim=1)
    loss = sampled_info_nce(users, torch.tensor([0]), items, torch.tensor([1]), torch.zeros(2), temperature=0.5)
    (gradient,) = torch.autograd.grad(loss, users)
    torch.testing.assert_close(F.normalize(gradient[0, 1:], dim=1), torch.stack([-items[0], items[1]]))
    assert not gradient[0, 0].any()


def test_the_loss_of_heads_is_the_weighted_log_loss_of_what_is_known() -> None:
    logits = torch.tensor([[0.0, 2.0], [1.0, -1.0], [5.0, 3.0]], requires_grad=True)
    labels = torch.tensor([[1.0, 0.0], [0.0, torch.nan], [torch.nan, torch.nan]])
    weights = torch.tensor([1.0, 3.0, 9.0])
    norm = known_weight(labels, weights)
    assert norm.tolist() == [4.0, 1.0]
    loss = heads_loss(logits, labels, weights, norm)
    first = (np.log(2) + 3 * np.log1p(np.exp(1))) / 4
    assert float(loss.detach()) == pytest.approx(first + np.log1p(np.exp(2)), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert torch.isfinite(gradient).all()
    assert gradient[2].tolist() == [0.0, 0.0]
    assert gradient[1, 1] == 0.0
