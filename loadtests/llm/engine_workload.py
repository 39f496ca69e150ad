"""What the engine is asked to do: seeded prompts of random tokens, and output lengths with a heavy tail."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

TAIL = 1.1
"""Shape of the Pareto distribution of output lengths: most answers are short, a few are very long."""
SHORTEST, LONGEST = 10, 256
"""Output tokens: the scale of the distribution, and the most."""
CHAT_PROMPTS = range(20, 61)
"""Tokens of what somebody says to a model in a line or two."""
_FIRST_TOKEN, _LAST_TOKEN = 1000, 40_000
"""Of a random prompt: neither control tokens nor single bytes."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request: prompt tokens, and how many tokens are wanted whatever the model says."""

    prompt: tuple[int, ...]
    new_tokens: int


def random_prompt(draw: random.Random, length: int) -> tuple[int, ...]:
    """Tokens that no other prompt begins with."""
    return tuple(draw.randrange(_FIRST_TOKEN, _LAST_TOKEN) for _ in range(length))


def heavy_tailed(count: int, seed: int, prompts: Sequence[int] = CHAT_PROMPTS) -> list[Job]:
    """Outputs by a bounded Pareto distribution, behind prompts of one of the lengths `prompts`.

    Output lengths are the distribution's quantiles, so that a set holds neither more nor fewer long ones by luck; the
    seed draws their order and the prompts.
    """
    draw = random.Random(seed)
    shares = [(place + 0.5) / count for place in range(count)]
    lengths = [min(LONGEST, int((1 - share) ** (-1 / TAIL) * SHORTEST)) for share in shares]
    draw.shuffle(lengths)
    return [Job(random_prompt(draw, draw.choice(prompts)), length) for length in lengths]


def equal(count: int, seed: int, prompt: int, new_tokens: int) -> list[Job]:
    """Requests that are all of one size."""
    draw = random.Random(seed)
    return [Job(random_prompt(draw, prompt), new_tokens) for _ in range(count)]


def in_batches(jobs: Sequence[Job], size: int) -> list[Sequence[Job]]:
    """In order of arrival; the last batch may be smaller."""
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def padded(jobs: Sequence[Job], size: int) -> list[Job]:
    """Every request as long as the longest of its batch: what rows cost that stay until the batch ends."""
    return [
        Job(job.prompt, max(other.new_tokens for other in batch))
        for batch in in_batches(jobs, size)
        for job in batch
    ]  # fmt: skip


def useful_tokens(jobs: Sequence[Job]) -> int:
    """Tokens that somebody asked for."""
    return sum(job.new_tokens for job in jobs)
