"""Attention over paged keys and values.

Notation: N tokens of the step, B sequences of a group, T tokens of each, L length of the longest context, H query
heads, K key-value heads, G = H / K, D head dimension, P tokens of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

WIDEST_SHARED = 16
"""Most tokens of a sequence whose group may hold several sequences: decoding and verifying, not reading a prompt."""


@dataclass(frozen=True, slots=True)
class AttentionGroup:
    """Sequences with the same number of tokens in the step; their rows are neighbours."""

    start: int
    """First row of N."""
    sequences: int
    """B"""
    tokens: int
    """T"""
    length: int
    """L"""
    blocks: Tensor
    """(B * blocks of L,) block ids; shorter contexts are filled up with any block."""
    mask: Tensor | None
    """Added to the scores: 0 or -inf, (B, 1, T * G, L) for shared groups, (1, 1, T, L) else; None sees everything."""
    causal: bool = False
    """The tokens are the whole context: the plain triangle."""


def attend(queries: Tensor, memory: Tensor, group: AttentionGroup) -> Tensor:
    """(B * T, H, D) queries over one layer's memory (blocks, P, 2, K, D): (B * T, H * D)."""
    blocks, _, _, kv_heads, dim = memory.shape
    gathered = memory.view(blocks, -1).index_select(0, group.blocks)
    gathered = gathered.view(group.sequences, -1, 2, kv_heads, dim)[:, : group.length]
    keys, values = gathered.permute(2, 0, 3, 1, 4).unbind()  # (B, K, L, D) each
    if group.tokens == 1:
        return _decode(queries.view(group.sequences, kv_heads, -1, dim), keys, values, group.mask)
    queries = queries.view(group.sequences, group.tokens, kv_heads, -1, dim)  # (B, T, K, G, D)
    if group.tokens <= WIDEST_SHARED:
        return _shared(queries, keys, values, group.mask)
    return _single(queries, keys, values, group)


def _decode(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """One token each: the G queries of a key head (B, K, G, D) are its tokens, and no key is copied."""
    mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    return mixed.reshape(queries.shape[0], -1)


def _shared(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """A few tokens each: as above, with T * G tokens."""
    batch, tokens, kv_heads, _, dim = queries.shape
    rows = queries.transpose(1, 2).reshape(batch, kv_heads, -1, dim)  # (B, K, T * G, D)
    mixed = functional.scaled_dot_product_attention(rows, keys, values, attn_mask=mask)
    return mixed.view(batch, kv_heads, tokens, -1, dim).transpose(1, 2).reshape(batch * tokens, -1)


def _single(queries: Tensor, keys: Tensor, values: Tensor, group: AttentionGroup) -> Tensor:
    """One sequence, many tokens: each key head is the head of G query heads, by a stride of zero."""
    heads = queries[0].permute(1, 2, 0, 3)  # (K, G, T, D)
    shared = heads.shape[:2]
    keys = keys[0].unsqueeze(1).expand(*shared, -1, -1)  # (K, G, L, D)
    values = values[0].unsqueeze(1).expand(*shared, -1, -1)
    mixed = functional.scaled_dot_product_attention(heads, keys, values, attn_mask=group.mask, is_causal=group.causal)
    return mixed.permute(2, 0, 1, 3).reshape(group.tokens, -1)


def causal_mask(positions: Tensor, length: int, repeat: int, dtype: torch.dtype) -> Tensor:
    """(B, T) positions to (B, 1, T * repeat, L): -inf where a key comes after the query."""
    hidden = torch.arange(length, device=positions.device) > positions.unsqueeze(-1)  # (B, T, L)
    mask = torch.zeros(hidden.shape, dtype=dtype, device=positions.device).masked_fill_(hidden, float("-inf"))
    return mask.repeat_interleave(repeat, dim=1).unsqueeze(1)
