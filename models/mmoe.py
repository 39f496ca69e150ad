"""MMoE: Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts" (KDD 2018).
All heads share the experts; each has a gate that mixes them for every row, and a tower of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.heads import CLICK
from models.layers import RowInput, mlp
from models.onnx_export import export_onnx
from models.rows import RowLayout


@dataclass(frozen=True, slots=True)
class MmoeConfig:
    """The shape of the network and what its heads are."""

    heads: tuple[str, ...] = ("like",)
    """Names, in the order of the logits."""
    value: tuple[float, ...] = (1.0,)
    """What each head weighs in the one score that orders a list, unless the request says otherwise."""
    embedding: int = 4
    """Dimension of each categorical column."""
    experts: int = 8
    """Networks that all heads share."""
    expert: tuple[int, ...] = (32, 16)
    """Widths of each expert."""
    tower: tuple[int, ...] = (16,)
    """Hidden widths of each head's own network."""

    def __post_init__(self) -> None:
        if not self.heads or len(set(self.heads)) != len(self.heads):
            raise ValueError(f"MMoE needs heads with different names, got {list(self.heads)}.")
        if len(self.value) != len(self.heads):
            raise ValueError(f"MMoE needs a value for each of {len(self.heads)} heads, got {len(self.value)}.")


class Mmoe(nn.Module):
    """(N, F) rows of one layout -> (N, H) logits, one column a head; NaN anywhere means unknown."""

    def __init__(self, layout: RowLayout, config: MmoeConfig) -> None:
        super().__init__()
        self.input = RowInput(layout, config.embedding)
        width, mixed = self.input.width, config.expert[-1]
        self.experts = nn.ModuleList(
            nn.Sequential(mlp([width, *config.expert]), nn.ReLU()) for _ in range(config.experts)
        )
        self.gates = nn.ModuleList(nn.Linear(width, config.experts, bias=False) for _ in config.heads)
        self.towers = nn.ModuleList(mlp([mixed, *config.tower, 1]) for _ in config.heads)

    def forward(self, features: Tensor) -> Tensor:
        start = self.input(features)
        known = torch.stack([expert(start) for expert in self.experts], dim=1)  # (N, E, D)
        logits = []
        for gate, tower in zip(self.gates, self.towers, strict=True):
            shares = torch.softmax(gate(start), dim=1).unsqueeze(1)  # (N, 1, E), equation 7
            logits.append(tower((shares @ known).squeeze(1)))  # equations 6 and 5
        return torch.cat(logits, dim=1)


class Valued(nn.Module):
    """The served form: (N, F) -> the heads' logits (N, H) and the score (N, 1), combined as `Heads` describes."""

    value: Tensor
    chosen: Tensor

    def __init__(self, network: Mmoe, config: MmoeConfig) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("value", torch.tensor(config.value).unsqueeze(1))
        self.register_buffer("chosen", torch.tensor([head == CLICK for head in config.heads]))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        heads = self.network(features)
        return heads, torch.where(self.chosen, heads, F.logsigmoid(heads)) @ self.value


def export_heads(network: Mmoe, config: MmoeConfig, columns: int, path: Path) -> None:
    """Writes the network as ONNX: input `features` (N, columns), outputs `heads` (N, H) and `scores` (N, 1)."""
    export_onnx(Valued(network, config), columns, path, outputs=("heads", "scores"))
