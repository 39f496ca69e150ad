"""A Llama decoder over the tokens of a step, whoever they belong to.

Touvron et al., "LLaMA", 2023; RMSNorm: Zhang & Sennrich 2019; rotary positions: Su et al. 2021; SwiGLU: Shazeer 2020;
grouped queries: Ainslie et al. 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from services.llm.engine.attention import AttentionGroup, attend
from services.llm.engine.projections import Project
from services.llm.engine.weights import LayerWeights, LlamaShape, Weights


@dataclass(frozen=True, slots=True)
class ForwardBatch:
    """Inputs of a forward pass: N tokens in groups, R of whose rows are followed by a choice."""

    tokens: Tensor
    """(N,) ids"""
    positions: Tensor
    """(N,) places in their sequences"""
    slots: Tensor
    """(N,) where their keys and values go: block * block size + offset"""
    groups: tuple[AttentionGroup, ...]
    rows: Tensor
    """(R,) rows whose logits are wanted"""


class Layer:
    """Attention, then a gated feed-forward network, each of the normed input and added to it.

    A norm's gain is a factor of the columns of the matrix behind it, and kept there.
    """

    def __init__(self, weights: LayerWeights, shape: LlamaShape, project: Project) -> None:
        self._shape, epsilon = shape, shape.norm_epsilon
        qkv, gate_up = (weights.query, weights.key, weights.value), (weights.gate, weights.up)
        self._qkv = project(torch.cat(qkv) * weights.attention_norm, epsilon)
        self._output = project(weights.attention_output, None)
        self._gate_up = project(torch.cat(gate_up) * weights.mlp_norm, epsilon)
        self._down = project(weights.down, None)

    def __call__(self, hidden: Tensor, batch: ForwardBatch, rotation: Tensor, memory: Tensor) -> Tensor:
        """(N, hidden) to (N, hidden); writes the tokens' keys and values into the layer's memory."""
        shape = self._shape
        qkv = self._qkv(hidden)
        rotate(qkv[:, : (shape.heads + shape.kv_heads) * shape.head_dim], rotation)
        queries, keys_values = qkv[:, : shape.heads * shape.head_dim], qkv[:, shape.heads * shape.head_dim :]
        memory.view(-1, keys_values.shape[1]).index_copy_(0, batch.slots, keys_values)
        mixed = [attend(queries[g.start : g.start + g.sequences * g.tokens], memory, g) for g in batch.groups]
        hidden = self._output(mixed[0] if len(mixed) == 1 else torch.cat(mixed)).add_(hidden)
        gate, up = self._gate_up(hidden).chunk(2, dim=-1)
        return self._down(functional.silu(gate).mul_(up)).add_(hidden)


class Llama:
    """Logits of the tokens that follow."""

    def __init__(self, weights: Weights, project: Project, device: str, dtype: torch.dtype, max_positions: int) -> None:
        self.shape = weights.shape
        self._embedding = weights.embedding.to(device, dtype)
        self._rotations = rotations(self.shape, max_positions).to(device)
        self._layers = [Layer(layer, self.shape, project) for layer in weights.layers]
        self._head = project(weights.head * weights.norm, self.shape.norm_epsilon)

    def __call__(self, batch: ForwardBatch, memory: list[Tensor]) -> Tensor:
        """(R, vocabulary) float32."""
        hidden = functional.embedding(batch.tokens, self._embedding)  # (N, hidden)
        rotation = self._rotations.index_select(0, batch.positions).unsqueeze(1)  # (N, 1, D / 2)
        for layer, held in zip(self._layers, memory, strict=True):
            hidden = layer(hidden, batch, rotation, held)
        return self._head(hidden.index_select(0, batch.rows)).float()


def rotations(shape: LlamaShape, positions: int) -> Tensor:
    """exp(i * position * theta^(-2d/D)): (positions, D / 2), complex."""
    exponents = torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim
    angles = torch.outer(torch.arange(positions, dtype=torch.float64), shape.rope_theta**-exponents)
    return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)


def rotate(x: Tensor, rotation: Tensor) -> None:
    """Turns neighbouring pairs of (N, heads * D) by (N, 1, D / 2), in place."""
    pairs = x.view(x.shape[0], -1, rotation.shape[-1], 2)
    if x.dtype == torch.float32:
        torch.view_as_complex(pairs).mul_(rotation)
    else:
        pairs.copy_(torch.view_as_real(torch.view_as_complex(pairs.float()) * rotation))
