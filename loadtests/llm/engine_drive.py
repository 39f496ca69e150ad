"""Engines as the bench runs them: one thread, the real model, and a record of every step."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from loadtests.llm.engine_workload import Job
from services.llm.calls import Sampling
from services.llm.engine.chat import ChatTemplate
from services.llm.engine.config import EngineConfig
from services.llm.engine.engine import Engine
from services.llm.engine.loading import load_model, model_path
from services.llm.engine.observer import EngineObserver, StepStats
from services.llm.engine.scheduler import Scheduler
from services.llm.engine.tokenizer import TextTokenizer
from services.llm.engine.weights import Weights

KV_MEMORY_MB = 256
_NUMBERS = count()


class Recorder(EngineObserver):
    """Keeps what an engine tells; seconds are CPU time of the engine's thread."""

    def __init__(self) -> None:
        self.steps: list[StepStats] = []
        self.first_tokens: list[float] = []

    def on_step(self, stats: StepStats) -> None:
        """Kept."""
        self.steps.append(stats)

    def on_first_token(self, seconds: float) -> None:
        """Kept."""
        self.first_tokens.append(seconds)

    def clear(self) -> None:
        """Forgets everything."""
        self.steps.clear()
        self.first_tokens.clear()


@dataclass(frozen=True, slots=True)
class Driven:
    """An engine and its record."""

    engine: Engine
    record: Recorder

    def add(self, prompt: Sequence[int], sampling: Sampling, *, ignore_end: bool = False) -> None:
        """One greedy request."""
        greedy = replace(sampling, temperature=0.0)
        self.engine.add_request(str(next(_NUMBERS)), prompt, greedy, ignore_end=ignore_end)

    def add_jobs(self, jobs: Iterable[Job]) -> None:
        """All at once."""
        for job in jobs:
            self.add(job.prompt, Sampling(job.new_tokens), ignore_end=True)

    def finish(self) -> None:
        """Until nothing is left."""
        while self.engine.has_work:
            self.engine.step()

    def serve(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, at_once: int, *, ignore_end: bool = False
    ) -> None:
        """Never more than `at_once` requests: the next one arrives when one has ended."""
        left = list(prompts)
        while left or self.engine.has_work:
            stats = self.engine.stats()
            for prompt in left[: at_once - stats.running - stats.waiting]:
                self.add(prompt, sampling, ignore_end=ignore_end)
                left.pop(0)
            self.engine.step()

    @property
    def decode_steps(self) -> int:
        """Steps in which some sequence decoded."""
        return sum(step.kind != "prefill" for step in self.record.steps)


class Model:
    """The weights, loaded once, and engines made of them."""

    def __init__(self, url: str) -> None:
        self.weights: Weights
        self.tokenizer: TextTokenizer
        self.path = model_path(url)
        self.weights, self.tokenizer = load_model(self.path)
        self.chat = ChatTemplate(self.tokenizer)

    def engine(self, scheduler: type[Scheduler] = Scheduler, **settings: Any) -> Driven:
        """One thread of this machine's CPU; `settings` of EngineConfig."""
        record = Recorder()
        config = EngineConfig(**{"kv_memory_mb": KV_MEMORY_MB, **settings})
        made = Engine(
            self.weights, self.tokenizer, config, observer=record, scheduler=scheduler, clock=time.thread_time
        )
        return Driven(made, record)
