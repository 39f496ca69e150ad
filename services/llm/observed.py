"""What the gateway tells Prometheus, under the names that vLLM gives the same things: one dashboard reads both."""

from __future__ import annotations

import time

from services.llm.answered import Answered
from services.llm.calls import Completion, Piece
from services.llm.engine_metrics import EngineMetrics
from services.llm.routing.breaker import State
from services.runtime import metrics


class Watch:
    """One stream."""

    def __init__(self, model: str) -> None:
        self._model, self._started, self._last = model, time.perf_counter(), 0.0
        metrics.series(metrics.VLLM_RUNNING, model).inc()

    def piece(self, piece: Piece) -> None:
        """The next piece."""
        now = time.perf_counter()
        if not self._last:
            metrics.series(metrics.VLLM_FIRST_TOKEN_SECONDS, self._model).observe(now - self._started)
        elif piece.text:
            metrics.series(metrics.VLLM_INTER_TOKEN_SECONDS, self._model).observe(now - self._last)
        self._last = now

    def end(self, whole: Completion | None) -> None:
        """The stream is over; None: before its end."""
        metrics.series(metrics.VLLM_RUNNING, self._model).dec()
        if whole is not None:
            _finished(self._model, whole, time.perf_counter() - self._started)


class Observed:
    """Counts calls; also the router's observer."""

    def __init__(self, engines: EngineMetrics) -> None:
        self._engines = engines

    def update(self) -> None:
        """Brings what only the engines know up to now."""
        self._engines.update()

    def stream(self, model: str) -> Watch:
        """A stream begins."""
        return Watch(model)

    def completed(self, model: str, answered: Answered, seconds: float) -> None:
        """A whole answer after so many seconds."""
        if not answered.cache:
            _finished(model, answered.completion, seconds)

    def attempted(self, model: str, backend: str, seconds: float, error: BaseException | None) -> None:
        """A try ended."""
        outcome = "ok" if error is None else type(error).__name__
        metrics.series(metrics.LLM_TRIES, model, backend, outcome).inc()

    def retried(self, model: str, backend: str) -> None:
        """Another try begins; it is counted when it ends."""

    def fell_back(self, model: str, to: str) -> None:
        """Another model is asked."""
        metrics.series(metrics.LLM_FALLBACKS, model, to).inc()

    def broke(self, backend: str, state: State) -> None:
        """A breaker has changed its state."""
        metrics.series(metrics.LLM_BREAKER_OPEN, backend).set(0 if state == "closed" else 1)

    def matched(self, model: str, backend: str, characters: int) -> None:
        """A call went where its beginning was read before."""
        metrics.series(metrics.LLM_AFFINITY, model).inc()


def _finished(model: str, completion: Completion, seconds: float) -> None:
    usage = completion.usage
    metrics.series(metrics.VLLM_SUCCESS, model, completion.finish_reason).inc()
    metrics.series(metrics.VLLM_SECONDS, model).observe(seconds)
    metrics.series(metrics.VLLM_PROMPT_TOKENS, model).inc(usage.prompt_tokens)
    metrics.series(metrics.VLLM_GENERATION_TOKENS, model).inc(usage.completion_tokens)
