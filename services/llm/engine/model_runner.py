"""The only part that computes: owns the weights and the memory of keys and values."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from services.llm.engine.batching import forward_batch, group_order, num_rows
from services.llm.engine.config import EngineConfig
from services.llm.engine.cuda_graphs import DecodeGraphs
from services.llm.engine.drafts import StepCosts
from services.llm.engine.model import Llama
from services.llm.engine.projections import project_with
from services.llm.engine.sequence import Sequence
from services.llm.engine.weights import LlamaShape, Weights
from services.runtime.errors import SettingsError

_MEGABYTE = 2**20
_PROBES = (1, 2, 4, 8, 16, 32, 64)
"""Rows whose cost is measured."""
_PROBE_CONTEXT = 128
"""Tokens before the measured rows."""
_TIMES = 4
"""Measurements of which the best counts."""


class ModelRunner:
    """Runs the scheduled tokens of a step and returns logits."""

    def __init__(self, weights: Weights, config: EngineConfig) -> None:
        self.config, self.shape = config, weights.shape
        if config.device == "cuda" and not torch.cuda.is_available():
            raise SettingsError("device is cuda, but torch sees no GPU; set cpu.", field="device")
        self._dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
        self.num_blocks = _num_blocks(config, self.shape, self._dtype)
        torch.set_num_threads(config.threads)
        with torch.inference_mode():
            self._model = Llama(weights, project_with(config), config.device, self._dtype, config.max_model_len)
            self._memory = [self._layer_memory() for _ in range(self.shape.layers)]
            self._like = self._memory[0]
            self._graphs = None
            if config.device == "cuda" and config.cuda_graphs:
                self._graphs = DecodeGraphs(self._model, self._memory, config)

    @property
    def _queries_per_head(self) -> int:
        return self.shape.heads // self.shape.kv_heads

    def run(self, sequences: list[Sequence]) -> tuple[list[tuple[Sequence, slice]], Tensor]:
        """Computes every scheduled token: (which rows belong to which sequence, (R, vocabulary) float32 logits).

        A sequence has a row after its last token and one after each drafted one; none when its end is not reached.
        """
        ordered = group_order(sequences)
        with torch.inference_mode():
            batch = forward_batch(ordered, self.config.block_size, self._queries_per_head, self._like)
            graph = self._graphs.find(batch) if self._graphs else None
            logits = graph.replay(batch) if graph else self._model(batch, self._memory)
        owners: list[tuple[Sequence, slice]] = []
        row = 0
        for sequence in ordered:
            count = num_rows(sequence)
            if count:
                owners.append((sequence, slice(row, row + count)))
            row += count
        return owners, logits

    def step_costs(self) -> StepCosts:
        """What verifying drafts costs, each measured as the best of a few steps.

        The memory is written: to be called before any sequence runs.
        """
        sizes = [rows for rows in _PROBES if rows < self.config.max_model_len]
        costs = StepCosts({rows: self._best([rows]) for rows in sizes})
        return StepCosts({rows: costs.of(rows) for rows in sizes}, group_seconds=self._best([1, 2]) - costs.of(3))

    def _best(self, rows: list[int]) -> float:
        return min(self._time(rows) for _ in range(_TIMES))

    def _time(self, rows: list[int]) -> float:
        """Seconds of a step with so many rows of each sequence."""
        probes = [self._probe(count) for count in rows]
        started = time.perf_counter()
        _, logits = self.run(probes)
        logits.argmax().item()  # waits for what is queued on a GPU
        return time.perf_counter() - started

    def _probe(self, rows: int) -> Sequence:
        known = min(_PROBE_CONTEXT, self.config.max_model_len - rows)
        probe = Sequence("", [0] * (known + 1), 1, draft=[0] * (rows - 1))
        probe.num_computed, probe.num_scheduled = known, rows
        probe.block_table = [0] * ((known + rows) // self.config.block_size + 1)
        return probe

    def _layer_memory(self) -> Tensor:
        # One block more than is managed: padded rows of captured graphs write there.
        sizes = (self.num_blocks + 1, self.config.block_size, 2, self.shape.kv_heads, self.shape.head_dim)
        # Zeros: a masked key counts nothing only if it is a number.
        return torch.zeros(sizes, dtype=self._dtype, device=self.config.device)


def _num_blocks(config: EngineConfig, shape: LlamaShape, dtype: torch.dtype) -> int:
    if config.max_model_len > shape.context:
        raise SettingsError(
            f"max_model_len is {config.max_model_len}; the model knows {shape.context} positions.",
            field="max_model_len",
        )
    if config.kv_blocks is not None:
        return config.kv_blocks
    block_bytes = config.block_size * 2 * shape.kv_heads * shape.head_dim * shape.layers * dtype.itemsize
    blocks = config.kv_memory_mb * _MEGABYTE // block_bytes
    if blocks * config.block_size < config.max_model_len:
        raise SettingsError(
            f"kv_memory_mb is {config.kv_memory_mb}: {blocks * config.block_size} tokens, fewer than the "
            f"{config.max_model_len} of one sequence (max_model_len).",
            field="kv_memory_mb",
        )
    return blocks
