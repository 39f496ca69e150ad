"""Decode steps on CUDA: one captured graph per batch size and context width, replayed instead of launched op by op."""

from __future__ import annotations

import torch
from torch import Tensor

from services.llm.engine.attention import AttentionGroup, causal_mask
from services.llm.engine.config import EngineConfig
from services.llm.engine.model import ForwardBatch, Llama

_WARM_UPS = 2


def buckets(largest: int) -> list[int]:
    """Powers of two up to the first that holds `largest`."""
    sizes = [1]
    while sizes[-1] < largest:
        sizes.append(2 * sizes[-1])
    return sizes


def padded(batch: ForwardBatch, sequences: int, width: int, memory: Tensor, repeat: int) -> ForwardBatch:
    """A decode batch with rows up to `sequences` and `width` blocks each; what is added writes to the last block.

    `memory` is that of any layer, `repeat` the query heads of a key head.
    """
    group, device, block_size, scratch = batch.groups[0], batch.tokens.device, memory.shape[1], memory.shape[0] - 1
    more, length = sequences - group.sequences, width * block_size
    blocks = torch.full((sequences, width), scratch, dtype=torch.int64, device=device)
    blocks[: group.sequences, : group.blocks.numel() // group.sequences] = group.blocks.view(group.sequences, -1)
    positions = torch.cat([batch.positions, batch.positions.new_zeros(more)])
    mask = causal_mask(positions.unsqueeze(1), length, repeat, memory.dtype)
    return ForwardBatch(
        tokens=torch.cat([batch.tokens, batch.tokens.new_zeros(more)]),
        positions=positions,
        slots=torch.cat([batch.slots, batch.slots.new_full((more,), scratch * block_size)]),
        groups=(AttentionGroup(0, sequences, 1, length, blocks.flatten(), mask),),
        rows=torch.arange(sequences, device=device),
    )


class DecodeGraph:
    """One captured forward pass with the tensors it reads."""

    def __init__(self, model: Llama, memory: list[Tensor], batch: ForwardBatch, repeat: int) -> None:
        self._inputs, self._memory, self._repeat = batch, memory[0], repeat
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                model(self._inputs, memory)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._logits = model(self._inputs, memory)

    def replay(self, batch: ForwardBatch) -> Tensor:
        """(R, vocabulary) logits of a decode batch that fits."""
        held, group = self._inputs, self._inputs.groups[0]
        width = group.blocks.numel() // group.sequences
        full = padded(batch, group.sequences, width, self._memory, self._repeat)
        for name in ("tokens", "positions", "slots"):
            getattr(held, name).copy_(getattr(full, name))
        group.blocks.copy_(full.groups[0].blocks)
        if group.mask is not None and full.groups[0].mask is not None:
            group.mask.copy_(full.groups[0].mask)
        self._graph.replay()
        return self._logits[: len(batch.tokens)].clone()


class DecodeGraphs:
    """Captured when first needed, at most one for each pair of buckets."""

    def __init__(self, model: Llama, memory: list[Tensor], config: EngineConfig) -> None:
        self._model, self._memory, self._config = model, memory, config
        self._sizes = buckets(config.max_num_seqs)
        self._widths = buckets(-(-config.max_model_len // config.block_size))
        self._captured: dict[tuple[int, int], DecodeGraph] = {}

    def find(self, batch: ForwardBatch) -> DecodeGraph | None:
        """The graph for the batch; None when the step does not only decode."""
        group = batch.groups[0]
        if len(batch.groups) > 1 or group.tokens > 1 or len(batch.rows) != group.sequences:
            return None
        size = next(size for size in self._sizes if size >= group.sequences)
        width = next(width for width in self._widths if width * self._config.block_size >= group.length)
        if (size, width) not in self._captured:
            shape = self._model.shape
            repeat = shape.heads // shape.kv_heads
            full = padded(batch, size, width, self._memory[0], repeat)
            self._captured[size, width] = DecodeGraph(self._model, self._memory, full, repeat)
        return self._captured[size, width]
