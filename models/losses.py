"""Losses of retrieval models and of rankers with several heads."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sampled_info_nce(
    users: Tensor,
    targets: Tensor,
    items: Tensor,
    negatives: Tensor,
    log_expected: Tensor,
    temperature: float,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Mean InfoNCE (van den Oord et al. 2018) of P positions against N negatives that all of them share.

        -log( exp(s_t) / (exp(s_t) + sum_n exp(s_n - log_expected_n)) ),   s = max_k <user_k, item> / temperature

    With log_expected the logarithm of how often each item is expected among the negatives, the sum estimates that of
    the full softmax without bias (logQ correction: Bengio and Senecal 2008; Yi et al., RecSys 2019). Negatives that
    equal a position's target do not count against it. Their logits, the largest tensor of a step, have `precision`.

    With several interests the nearest one alone speaks for an item, and learns from it, as in ComiRec (Cen et al., KDD
    2020, section 3.2, model training); for negatives too, which the paper leaves to the target's interest: so the loss
    ranks by the score that items are served by.

    users: (P, K, D) and items: (I, D), vectors of length 1; targets: (P,) and negatives: (N,) rows of items;
    log_expected: (I,).
    """
    positive = _nearest((users * items[targets][:, None]).sum(dim=2)) / temperature  # (P,)
    shift, others = -log_expected[negatives].to(precision), items[negatives].to(precision)
    each = torch.addmm(shift, users.flatten(0, 1).to(precision), others.T, alpha=1.0 / temperature)  # (P * K, N)
    negative = _nearest(each.view(*users.shape[:2], -1))  # (P, N)
    negative = negative.masked_fill(negatives == targets[:, None], -torch.inf)
    # log(exp(p) + sum exp(n)) - p: spares the copy that concatenation would make of the largest tensor of a step.
    return F.softplus(negative.logsumexp(dim=1).float() - positive).mean()


def _nearest(scores: Tensor) -> Tensor:
    """(P, K, ...) -> (P, ...): the largest over K interests; without a copy where there is one."""
    return scores[:, 0] if scores.shape[1] == 1 else scores.max(dim=1).values


def heads_loss(logits: Tensor, labels: Tensor, weights: Tensor, norm: Tensor) -> Tensor:
    """Sum over heads of the weighted log-loss of the rows whose label is known, each divided by the head's `norm`.

    logits, labels: (M, H), NaN for an unknown label; weights: (M,); norm: (H,), as `known_weight` of the whole batch.
    """
    known = ~labels.isnan()
    # The unknown must not reach the loss even as 0 * NaN: its gradient would be NaN.
    losses = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(0.0), reduction="none")
    return (torch.where(known, losses, 0.0) * weights[:, None]).sum(dim=0).div(norm.clamp(min=1e-9)).sum()


def known_weight(labels: Tensor, weights: Tensor) -> Tensor:
    """(H,) weight of the rows whose label is known, head by head."""
    return ((~labels.isnan()).float() * weights[:, None]).sum(dim=0)
