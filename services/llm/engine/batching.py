"""The tensors of a step, built once for all layers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from services.llm.engine.attention import WIDEST_SHARED, AttentionGroup, causal_mask
from services.llm.engine.model import ForwardBatch
from services.llm.engine.sequence import Sequence


def forward_batch(sequences: list[Sequence], block_size: int, queries_per_head: int, like: Tensor) -> ForwardBatch:
    """Inputs for the scheduled tokens of sequences in `group_order`, on the device and in the type of `like`."""
    device = like.device
    tokens: list[int] = []
    positions: list[int] = []
    slots: list[int] = []
    rows: list[int] = []
    groups: list[AttentionGroup] = []
    for group in _groups(sequences):
        groups.append(_attention_group(group, len(tokens), block_size, queries_per_head, like))
        for sequence in group:
            first, after = sequence.num_computed, sequence.num_computed + sequence.num_scheduled
            tokens += (sequence.tokens[first:after] + sequence.draft)[: sequence.num_scheduled]
            positions += range(first, after)
            slots += _slots(sequence, first, after, block_size)
            rows += range(len(tokens) - num_rows(sequence), len(tokens))
    return ForwardBatch(
        tokens=torch.tensor(tokens, device=device),
        positions=torch.tensor(positions, device=device),
        slots=torch.tensor(slots, device=device),
        groups=tuple(groups),
        rows=torch.tensor(rows, dtype=torch.int64, device=device),
    )


def group_order(sequences: list[Sequence]) -> list[Sequence]:
    """Sequences with equally many tokens become neighbours."""
    return sorted(sequences, key=lambda sequence: sequence.num_scheduled)


def num_rows(sequence: Sequence) -> int:
    """Logits wanted of it: after its last known token and after each drafted one, or none before its end."""
    return 1 + len(sequence.draft) if sequence.reaches_end else 0


def _groups(sequences: list[Sequence]) -> Iterator[list[Sequence]]:
    for count, same in groupby(sequences, key=lambda sequence: sequence.num_scheduled):
        if count <= WIDEST_SHARED:
            yield list(same)
        else:
            yield from ([sequence] for sequence in same)


def _slots(sequence: Sequence, first: int, after: int, block_size: int) -> list[int]:
    table = sequence.block_table
    if after - first <= WIDEST_SHARED:
        return [table[place // block_size] * block_size + place % block_size for place in range(first, after)]
    places = np.arange(first, after)
    slots: list[int] = (np.asarray(table)[places // block_size] * block_size + places % block_size).tolist()
    return slots


def _attention_group(
    group: list[Sequence], start: int, block_size: int, queries_per_head: int, like: Tensor
) -> AttentionGroup:
    device = like.device
    count = group[0].num_scheduled
    length = max(sequence.num_computed for sequence in group) + count
    width = -(-length // block_size)
    blocks = [block for sequence in group for block in _row(sequence.block_table, width)]
    causal = count > WIDEST_SHARED and count == length
    mask = None
    if not causal and (count > 1 or len(group) > 1):
        first = torch.tensor([sequence.num_computed for sequence in group], device=device)
        places = first.unsqueeze(1) + torch.arange(count, device=device)
        mask = causal_mask(places, length, queries_per_head if count <= WIDEST_SHARED else 1, like.dtype)
    return AttentionGroup(start, len(group), count, length, torch.tensor(blocks, device=device), mask, causal)


def _row(table: list[int], width: int) -> list[int]:
    """Exactly `width` blocks: what comes after the table is masked, so any block will do."""
    return table[:width] + table[-1:] * (width - len(table))
