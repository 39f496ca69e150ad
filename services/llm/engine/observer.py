"""What an engine tells about itself, for metrics and benches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.llm.calls import FinishReason, Usage

StepKind = Literal["prefill", "decode", "mixed"]


@dataclass(frozen=True, slots=True)
class StepStats:
    """One step, as it ended."""

    kind: StepKind
    """decode: every sequence already had its prompt computed; prefill: none had."""
    seconds: float
    sequences: int
    """Sequences computed."""
    tokens: int
    """Tokens computed, drafts included."""
    generated: int
    """Tokens added to outputs."""
    drafted: int
    """Tokens proposed."""
    accepted: int
    """Proposed tokens that were right."""
    preempted: int
    """Sequences that lost their blocks."""
    blocks_used: int
    """KV blocks held when the step ended."""
    slots_filled: int
    """Places in those blocks that hold keys and values."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """The engine now; counters count since it began."""

    running: int
    waiting: int
    kv_usage: float
    """Share of the KV blocks that is held."""
    prefix_queries: int
    """Prompt tokens looked up in the prefix cache."""
    prefix_hits: int
    """Prompt tokens found there."""
    preemptions: int
    prompt_tokens: int
    generation_tokens: int
    drafted_tokens: int
    accepted_tokens: int


class EngineObserver:
    """Told what happens, in the engine's thread; this one ignores it."""

    def on_step(self, stats: StepStats) -> None:
        """After every step."""

    def on_first_token(self, seconds: float) -> None:
        """Time from a request's arrival to its first token."""

    def on_next_tokens(self, seconds: float, count: int) -> None:
        """Time since the request's tokens before, and how many came at once."""

    def on_finished(self, reason: FinishReason | None, usage: Usage, seconds: float) -> None:
        """A request ended; without a reason it was aborted."""
