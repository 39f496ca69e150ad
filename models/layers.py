"""Layers that rankers share. Each takes and returns plain tensors and survives the export to ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.normalizer import Normalizer
from models.rows import RowLayout

_CLIP = 5.0
"""Standard deviations beyond which a feature says no more."""


def mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with ReLU between them and none after the last."""
    layers: list[nn.Module] = []
    for inside, outside in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class NumericInput(nn.Module):
    """(N, C) raw numbers -> (N, 2C): normalised values with 0 for the unknown, then a flag per unknown."""

    scale: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, normalizer: Normalizer) -> None:
        super().__init__()
        for name in ("scale", "mean", "std"):
            self.register_buffer(name, torch.from_numpy(np.array(getattr(normalizer, name), np.float32)))

    def forward(self, raw: Tensor) -> Tensor:
        unknown = torch.isnan(raw)
        known = torch.where(unknown, torch.zeros_like(raw), raw)
        heavy = self.scale > 0
        unit = torch.where(heavy, self.scale, torch.ones_like(self.scale))
        shaped = torch.where(heavy, torch.log1p(known.clamp(min=0) / unit), known)
        normal = ((shaped - self.mean) / self.std).clamp(-_CLIP, _CLIP)
        return torch.cat([torch.where(unknown, torch.zeros_like(normal), normal), unknown.to(raw.dtype)], dim=1)


class FusedEmbedding(nn.Module):
    """(N, K) indices -> (N, K, D) vectors from one table that holds all vocabularies one after the other.

    Columns that share a vocabulary may share its rows: `share` names the vocabulary of each column. One gather from one
    table is cheaper than K of them.
    """

    offsets: Tensor
    sizes: Tensor

    def __init__(self, sizes: Sequence[int], share: Sequence[str], width: int) -> None:
        super().__init__()
        starts: dict[str, int] = {}
        total = 0
        for size, name in zip(sizes, share, strict=True):
            if name not in starts:
                starts[name] = total
                total += size
        self.register_buffer("offsets", torch.tensor([starts[name] for name in share]))
        self.register_buffer("sizes", torch.tensor(list(sizes)))
        self.table = nn.Embedding(total, width)
        nn.init.normal_(self.table.weight, std=width**-0.5 * 0.1)

    def forward(self, indices: Tensor) -> Tensor:
        # NaN and indices beyond the vocabulary mean the unknown, whose index is 0.
        inside = (indices >= 0) & (indices < self.sizes)
        safe = torch.where(inside, indices, torch.zeros_like(indices)).to(torch.int64)
        vectors: Tensor = self.table(safe + self.offsets)
        return vectors


def shared_vocabulary(column: str) -> str:
    """Columns that differ only by their place in a list share embeddings: last_item_1, last_item_2, ..."""
    stem, _, place = column.rpartition("_")
    return stem if place.isdigit() else column


class RowInput(nn.Module):
    """(N, F) rows of one layout -> (N, width) for layers that take one flat vector: numbers, flags, embeddings."""

    def __init__(self, layout: RowLayout, embedding: int) -> None:
        super().__init__()
        if layout.normalizer is None:
            raise ValueError("The network needs the statistics of its numeric columns; fit a Normalizer first.")
        names = list(layout.cardinalities)
        self.numeric_count = len(layout.numeric_columns)
        self.width = 2 * self.numeric_count + len(names) * embedding
        self.numeric = NumericInput(layout.normalizer)
        self.embedding = FusedEmbedding(
            list(layout.cardinalities.values()), [shared_vocabulary(name) for name in names], embedding
        )

    def forward(self, features: Tensor) -> Tensor:
        dense = self.numeric(features[:, : self.numeric_count])
        sparse = self.embedding(features[:, self.numeric_count :])
        return torch.cat([dense, sparse.flatten(1)], dim=1)


class DotInteraction(nn.Module):
    """(N, K, D) -> (N, K(K-1)/2): dot products of all pairs of vectors (Naumov et al. 2019, section 2.1.3)."""

    pairs: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        first, second = torch.tril_indices(count, count, offset=-1)
        self.register_buffer("pairs", first * count + second)

    def forward(self, vectors: Tensor) -> Tensor:
        dots = vectors @ vectors.transpose(1, 2)
        return dots.flatten(1).index_select(1, self.pairs)
