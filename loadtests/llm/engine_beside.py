"""Ours beside transformers.generate and llama.cpp: the same weights, prompts and numbers of tokens, one thread each.

The others live in an environment of their own and answer from a child process, in turn with ours.
"""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.llm import engine_peers
from loadtests.llm.engine_drive import Driven, Model
from loadtests.llm.engine_part import Part, Spent, at_least, measured
from loadtests.llm.engine_prompts import explanations
from loadtests.llm.engine_workload import Job, equal, heavy_tailed, useful_tokens
from services.gateway.explanations.prompt import MOST_TOKENS
from services.llm.calls import Sampling
from services.runtime.errors import Unavailable

BATCH = 8
TRANSFORMERS_TIMES, LLAMA_TIMES, LLAMA_ALONE_TIMES = 6.0, 2.2, 0.9
SEED = 11
TASK_SECONDS, LOAD_SECONDS, END_SECONDS = 300.0, 120.0, 10.0
"""Longest waits for an answer, for an engine to load, and for the child to end."""
LLAMA, FLOAT, HALF = "llama.cpp", "transformers-float32", "transformers-bfloat16"
STOP = ("\n",)
_ENDED = "The process of the other engines ended."
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}


@dataclass(frozen=True, slots=True)
class Task:
    """What every engine is asked to do."""

    name: str
    jobs: Sequence[Job]
    batch: int
    stop: tuple[str, ...] = ()

    def line(self, peer: str) -> str:
        """For the child."""
        jobs = [{"prompt": job.prompt, "new_tokens": job.new_tokens} for job in self.jobs]
        return json.dumps({"peer": peer, "jobs": jobs, "batch": self.batch, "stop": self.stop}) + "\n"


@dataclass(slots=True)
class Rates:
    """Useful tokens per second of CPU and by the clock, by engine, one for each round."""

    task: str
    cpu: dict[str, list[float]] = field(default_factory=dict)
    wall: dict[str, list[float]] = field(default_factory=dict)

    def add(self, engine: str, tokens: int, spent: Spent) -> None:
        """One round of one engine."""
        self.cpu.setdefault(engine, []).append(tokens / spent.cpu)
        self.wall.setdefault(engine, []).append(tokens / spent.wall)

    def ratio(self, peer: str) -> float:
        """Ours by the peer's: the median over the rounds; NaN where it was not there."""
        if not self.cpu.get(peer):
            return math.nan
        return median([ours / other for ours, other in zip(self.cpu["ours"], self.cpu[peer], strict=True)])


class Child:
    """The other engines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def loaded(self, count: int) -> tuple[list[str], list[str]]:
        """(engines that are ready, sentences about those that are not), `count` together."""
        told = [self.told(LOAD_SECONDS) for _ in range(count)]
        ready = [one["peer"] for one in told if "error" not in one]
        return ready, [f"{one['peer']} is left out: {one['error']}" for one in told if "error" in one]

    def ask(self, task: Task, peer: str) -> tuple[int, Spent]:
        """(tokens, time); Unavailable with the reason when there are none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(task.line(peer))
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise Unavailable(_ENDED) from error
        answer = self.told(TASK_SECONDS)
        if "error" in answer:
            raise Unavailable(f"{peer} failed at {task.name}: {answer['error']}.")
        return answer["tokens"], Spent(answer["cpu"], answer["wall"])

    def told(self, seconds: float) -> dict[str, Any]:
        """The next line. Unavailable when it does not come in time, or never."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty as error:
            raise Unavailable(f"The other engines did not answer within {seconds:.0f} seconds.") from error
        if not line:
            self._lines.put("")  # whoever asks next is told at once too
            raise Unavailable(_ENDED)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


@contextmanager
def child(python: Path, weights: Path, peers: Sequence[str]) -> Iterator[Child]:
    """The process, and its end; what its libraries say is not shown."""
    command = [str(python), engine_peers.__file__, str(weights), *peers]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | _ONE_THREAD,
    ) as process:  # fmt: skip
        try:
            yield Child(process)
        finally:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # a task that nobody read goes with the process
                process.stdin.close()
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def measure(model: Model, python: Path, rounds: int, requests: int, *, half: bool) -> Part:
    """`rounds` rounds of every engine in turn; a sentence where the others are not installed."""
    part = Part(
        "Ours beside others, useful tokens per second of CPU", ("work", "engine", "tok/s", "wall tok/s", "ours ×")
    )
    if not python.exists():
        part.notes.append(
            f"The other engines are not here: python3 -m venv {python.parent.parent}; {python} -m pip install torch "
            "transformers accelerate gguf xllamacpp; or name another Python with --peers."
        )
        return part
    names = [LLAMA, FLOAT, *([HALF] if half else [])]
    with child(python, model.path, names) as others:
        try:
            loaded, part.notes = others.loaded(len(names))
            if loaded:
                _fill(part, _rounds(model, others, loaded, rounds, requests))
        except Unavailable as error:
            part.notes.append(error.sentence)  # the parts before this one are still told
    return part


def tasks(model: Model, turn: int, requests: int) -> list[Task]:
    """What is done in a round. Its films are new: of a prompt, only the examples before them are cached."""

    def films(part: int) -> list[Job]:
        return [Job(tuple(model.tokenizer.encode(text)), MOST_TOKENS) for text in explanations(part)]

    return [
        Task("8 at once, equal lengths", equal(BATCH, SEED + turn, 32, 64), BATCH),
        Task(f"8 at once, {requests} heavy-tailed", heavy_tailed(requests, SEED + turn), BATCH),
        Task("explanations, 1 caller", films(2 * turn + 1), 1, STOP),
        Task(f"explanations, {MOST_TOKENS} tokens", films(2 * turn + 2), 1),
    ]


def _rounds(model: Model, others: Child, names: Sequence[str], rounds: int, requests: int) -> list[Rates]:
    # Random prompts make a small model repeat itself: drafts would look better than they are, so the batches have none.
    batched = model.engine(max_num_seqs=BATCH, speculation="off", prefix_caching=False)
    alone = model.engine()
    found = [Rates(task.name) for task in tasks(model, 0, requests)]
    for turn in range(rounds + 1):
        for task, rates in zip(tasks(model, turn, requests), found, strict=True):
            single = task.batch == 1
            if turn == 0 and not single:
                continue  # only what is cached has to be warmed
            for peer in ("ours", *[name for name in names if name == LLAMA or not single]):
                tokens, spent = _ours(alone if single else batched, task) if peer == "ours" else others.ask(task, peer)
                if turn:
                    rates.add(peer, tokens, spent)
    return found


def _ours(driven: Driven, task: Task) -> tuple[int, Spent]:
    if task.batch > 1:
        driven.add_jobs(task.jobs)
        return useful_tokens(task.jobs), measured(driven.finish)
    before = driven.engine.stats().generation_tokens
    sampling = Sampling(task.jobs[0].new_tokens, stop=task.stop)
    prompts = [job.prompt for job in task.jobs]
    spent = measured(lambda: driven.serve(prompts, sampling, 1, ignore_end=not task.stop))
    return driven.engine.stats().generation_tokens - before, spent


def _fill(part: Part, found: Sequence[Rates]) -> None:
    for rates in found:
        for engine in rates.cpu:
            cpu, wall = median(rates.cpu[engine]), median(rates.wall[engine])
            row = (rates.task, engine, f"{cpu:.0f}", f"{wall:.0f}")
            part.rows.append((*row, "" if engine == "ours" else f"{rates.ratio(engine):.2f}"))
            part.figures.setdefault(rates.task, {})[engine] = {
                "per_second": cpu,
                "wall_per_second": wall,
                "ours_times": rates.ratio(engine),
            }
    bounds = {LLAMA: LLAMA_TIMES, FLOAT: TRANSFORMERS_TIMES, HALF: TRANSFORMERS_TIMES}
    for rates in found:
        for engine in [name for name in rates.cpu if name != "ours"]:
            bound = bounds[engine] if "at once" in rates.task else LLAMA_ALONE_TIMES
            part.verdicts.append(at_least(f"ours by {engine}, {rates.task}", bound, rates.ratio(engine)))
