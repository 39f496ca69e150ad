"""DLRM: Naumov et al., "Deep Learning Recommendation Model for Personalization and Recommendation Systems"
(arXiv 1906.00091). Numeric features pass a bottom MLP, categorical ones an embedding table; the dot products of all
pairs of vectors and the bottom's output feed a top MLP."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import DotInteraction, FusedEmbedding, NumericInput, mlp, shared_vocabulary
from models.list_fit import ListFitConfig
from models.rows import RowLayout


@dataclass(frozen=True, slots=True)
class DlrmConfig(ListFitConfig):
    """Hyper-parameters of the network and its fit."""

    width: int = 16
    """Dimension of the embeddings and of the bottom MLP's output."""
    bottom: tuple[int, ...] = (64,)
    """Hidden widths of the bottom MLP."""
    top: tuple[int, ...] = (64, 32)
    """Hidden widths of the top MLP."""


class Dlrm(nn.Module):
    """(N, F) rows of one layout -> (N, 1) scores; NaN anywhere means unknown."""

    def __init__(self, layout: RowLayout, config: DlrmConfig) -> None:
        super().__init__()
        if layout.normalizer is None:
            raise ValueError("DLRM needs the statistics of its numeric columns; fit a Normalizer on the rows first.")
        self.numeric_count = len(layout.numeric_columns)
        names = list(layout.cardinalities)
        vectors = len(names) + 1
        self.numeric = NumericInput(layout.normalizer)
        self.bottom = mlp([2 * self.numeric_count, *config.bottom, config.width])
        self.embedding = FusedEmbedding(
            list(layout.cardinalities.values()), [shared_vocabulary(name) for name in names], config.width
        )
        self.interaction = DotInteraction(vectors)
        self.top = mlp([config.width + vectors * (vectors - 1) // 2, *config.top, 1])

    def forward(self, features: Tensor) -> Tensor:
        dense = self.bottom(self.numeric(features[:, : self.numeric_count]))
        sparse = self.embedding(features[:, self.numeric_count :])
        crossed = self.interaction(torch.cat([dense.unsqueeze(1), sparse], dim=1))
        scores: Tensor = self.top(torch.cat([dense, crossed], dim=1))
        return scores


def listwise_loss(scores: Tensor, labels: Tensor, weights: Tensor, query: Tensor) -> Tensor:
    """Mean softmax cross-entropy of each query's list (ListNet's top-one loss, Cao et al. 2007).

    scores, labels, weights: (M,); query: (M,) number of each row's query, from 0 without gaps.
    """
    count = int(query[-1]) + 1
    highest = scores.new_full((count,), -torch.inf).scatter_reduce(0, query, scores.detach(), "amax")
    shifted = scores - highest[query]
    total = scores.new_zeros(count).index_add(0, query, shifted.exp())
    losses = (total.log()[query] - shifted) * labels * weights
    return losses.sum() / (labels * weights).sum().clamp(min=1e-9)


def binary_loss(scores: Tensor, labels: Tensor, weights: Tensor, query: Tensor) -> Tensor:
    """Weighted mean log-loss of label > 0 under sigmoid(score); `query` is not used."""
    losses = nn.functional.binary_cross_entropy_with_logits(scores, (labels > 0).float(), reduction="none")
    return (losses * weights).sum() / weights.sum()
