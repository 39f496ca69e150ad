"""The engines of this process, told to Prometheus when it asks, under vLLM's names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from prometheus_client import Counter

from services.llm.engine.observer import EngineStats
from services.runtime import metrics

NOTHING = EngineStats(*(0,) * 10)


@runtime_checkable
class TellsStats(Protocol):
    """A backend with an engine in this process."""

    def stats(self) -> EngineStats | None:
        """Its engine's counters; None while it loads."""
        ...


class EngineMetrics:
    """Engines by the name of their model."""

    def __init__(self) -> None:
        self._engines: dict[str, Callable[[], EngineStats | None]] = {}
        self._told: dict[str, EngineStats] = {}

    def add(self, model: str, stats: Callable[[], EngineStats | None]) -> None:
        """Tells of one more engine; its `stats` are None while it loads."""
        self._engines[model] = stats

    def update(self) -> None:
        """Brings the metrics up to now."""
        for model, stats in self._engines.items():
            now = stats()
            if now is not None:
                self._tell(model, now, self._told.get(model, NOTHING))
                self._told[model] = replace(now)

    @staticmethod
    def _tell(model: str, now: EngineStats, before: EngineStats) -> None:
        metrics.VLLM_WAITING.labels(model).set(now.waiting)
        metrics.VLLM_KV_USAGE.labels(model).set(now.kv_usage)
        counted: tuple[tuple[Counter, int], ...] = (
            (metrics.VLLM_PREFIX_QUERIES, now.prefix_queries - before.prefix_queries),
            (metrics.VLLM_PREFIX_HITS, now.prefix_hits - before.prefix_hits),
            (metrics.VLLM_PREEMPTIONS, now.preemptions - before.preemptions),
            (metrics.VLLM_DRAFTED, now.drafted_tokens - before.drafted_tokens),
            (metrics.VLLM_ACCEPTED, now.accepted_tokens - before.accepted_tokens),
        )
        for counter, more in counted:
            counter.labels(model).inc(more)
