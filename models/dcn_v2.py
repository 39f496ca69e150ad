"""DCN-v2: Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank
Systems" (WWW 2021). Cross layers multiply the input into itself, so that L of them hold all its polynomials up to
degree L + 1; a deep network stands beside them (the paper's parallel structure)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import RowInput, mlp
from models.rows import RowLayout


@dataclass(frozen=True, slots=True)
class DcnV2Config:
    """The shape of the network."""

    embedding: int = 8
    """Dimension of each categorical column."""
    cross_layers: int = 2
    """Highest degree of an explicit product, less one."""
    rank: int | None = 16
    """Rank of each expert's two factors; None for full matrices, which have no experts."""
    experts: int = 2
    """Low-rank matrices that a gate mixes in each layer."""
    deep: tuple[int, ...] = (64, 32)
    """Widths of the deep network."""

    def __post_init__(self) -> None:
        if self.cross_layers < 1 or self.experts < 1 or (self.rank is not None and self.rank < 1):
            raise ValueError("DCN-v2 needs at least one cross layer, one expert and a rank of one.")


class DcnV2(nn.Module):
    """(N, F) rows of one layout -> (N, 1) scores; NaN anywhere means unknown."""

    def __init__(self, layout: RowLayout, config: DcnV2Config) -> None:
        super().__init__()
        self.input = RowInput(layout, config.embedding)
        width = self.input.width
        self.crosses = nn.ModuleList(
            FullCross(width) if config.rank is None else LowRankCross(width, config.rank, config.experts)
            for _ in range(config.cross_layers)
        )
        self.deep = nn.Sequential(mlp([width, *config.deep]), nn.ReLU())
        self.top = nn.Linear(width + config.deep[-1], 1)

    def forward(self, features: Tensor) -> Tensor:
        start = self.input(features)
        crossed = start
        for cross in self.crosses:
            crossed = cross(start, crossed)
        scores: Tensor = self.top(torch.cat([crossed, self.deep(start)], dim=1))
        return scores


class FullCross(nn.Module):
    """x0 * (W x + b) + x (equation 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, start: Tensor, x: Tensor) -> Tensor:
        """Both (N, D) -> (N, D)."""
        crossed: Tensor = start * self.linear(x) + x
        return crossed


class LowRankCross(nn.Module):
    """sum_i g_i(x) x0 * (U_i tanh(C_i tanh(V_i' x)) + b) + x, gates by softmax (equations 3 and 4)."""

    def __init__(self, width: int, rank: int, experts: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(experts, width, rank))
        self.middle = nn.Parameter(torch.empty(experts, rank, rank))
        self.up = nn.Parameter(torch.empty(experts, rank, width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.gate = nn.Linear(width, experts, bias=False)
        for matrix in (self.down, self.middle, self.up):
            for expert in matrix.data:
                nn.init.xavier_normal_(expert)

    def forward(self, start: Tensor, x: Tensor) -> Tensor:
        """Both (N, D) -> (N, D)."""
        inside = torch.tanh(torch.tanh(x @ self.down) @ self.middle)  # (K, N, R)
        shares = torch.softmax(self.gate(x), dim=1).T.unsqueeze(2)  # (K, N, 1)
        # The gates add up to one, so the bias may stand outside of the mixture.
        mixed = ((shares * inside) @ self.up).sum(dim=0) + self.bias
        return start * mixed + x
