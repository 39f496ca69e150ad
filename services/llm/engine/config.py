"""What an engine may use, and how it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.runtime.errors import SettingsError

Precision = Literal["int8", "float32", "bfloat16"]
Speculation = Literal["off", "on", "adaptive"]


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Checked when made: SettingsError names the field."""

    precision: Precision = "int8"
    """int8: dynamic quantisation on an x86 CPU. float32: the reference. bfloat16: for CUDA."""
    device: str = "cpu"
    """Where torch computes: cpu or cuda."""
    threads: int = 1
    """Threads of torch on the CPU."""
    block_size: int = 16
    """Tokens of a KV block."""
    kv_memory_mb: int = 256
    """Memory of the KV cache; ignored when kv_blocks is given."""
    kv_blocks: int | None = None
    """Blocks of the KV cache."""
    max_num_seqs: int = 16
    """Sequences that run at once."""
    max_num_batched_tokens: int = 256
    """Token budget of a step: longer prompts are read in chunks between which others decode."""
    max_waiting: int = 128
    """Sequences that may wait; one more is TooMany."""
    max_model_len: int = 2048
    """Tokens of the longest sequence, prompt and output together."""
    prefix_caching: bool = True
    """Whether full blocks are kept and shared by equal prefixes."""
    speculation: Speculation = "adaptive"
    """on drafts whenever there is something to draft; adaptive only while it pays."""
    max_draft: int = 5
    """Tokens verified in a step beside the one that is decoded anyway."""
    cuda_graphs: bool = True
    """Whether decode steps on CUDA are replayed from captured graphs."""

    def __post_init__(self) -> None:
        for field in ("threads", "block_size", "kv_memory_mb", "max_num_seqs", "max_waiting", "max_draft"):
            if getattr(self, field) < 1:
                raise SettingsError(f"{field} is {getattr(self, field)}; it must be at least 1.", field=field)
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise SettingsError(
                f"max_num_batched_tokens is {self.max_num_batched_tokens}; every one of {self.max_num_seqs} "
                "sequences (max_num_seqs) needs one token a step.",
                field="max_num_batched_tokens",
            )
        if self.max_model_len < 2:
            raise SettingsError("max_model_len must leave room for a prompt and an answer.", field="max_model_len")
        if self.kv_blocks is not None and self.kv_blocks * self.block_size < self.max_model_len:
            raise SettingsError(
                f"kv_blocks is {self.kv_blocks}: {self.kv_blocks * self.block_size} tokens, fewer than the "
                f"{self.max_model_len} of one sequence (max_model_len).",
                field="kv_blocks",
            )
        if self.precision == "int8" and self.device != "cpu":
            raise SettingsError("precision int8 runs on the CPU only; set bfloat16.", field="precision")
