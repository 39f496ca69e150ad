"""Time to the first token when prompts share a beginning, with the prefix cache and without."""

from __future__ import annotations

import random
from statistics import median

from loadtests.llm.engine_drive import Driven, Model
from loadtests.llm.engine_part import Part, Spent, at_least, measured, paired_ratio
from loadtests.llm.engine_workload import random_prompt
from services.llm.calls import Sampling

SHARED, OWN = 300, 12
"""Tokens of a prompt: equal ones first, then its own."""
TIMES_FASTER = 6.0
SEED = 3


def measure(model: Model, requests: int) -> Part:
    """`requests` prompts, each given to both engines in turn; the first of all fills the cache and does not count."""
    draw = random.Random(SEED)
    shared = random_prompt(draw, SHARED)
    engines = {caching: model.engine(prefix_caching=caching, speculation="off") for caching in (False, True)}
    spent: dict[bool, list[Spent]] = {False: [], True: []}
    for _ in range(requests + 1):
        prompt = shared + random_prompt(draw, OWN)
        for caching, driven in engines.items():
            spent[caching].append(_first_token(driven, prompt))
    off, on = spent[False][1:], spent[True][1:]
    ratio, wall = paired_ratio(off, on), paired_ratio(off, on, "wall")
    part = Part(
        f"Time to the first token, {SHARED} shared tokens and {OWN} own, {requests} requests",
        ("prefix cache", "CPU ms", "wall ms"),
    )
    for name, found in (("off", off), ("on", on)):
        cpu, clock = (1000 * median([getattr(one, kind) for one in found]) for kind in ("cpu", "wall"))
        part.rows.append((name, f"{cpu:.1f}", f"{clock:.1f}"))
        part.figures[name] = {"cpu_ms": cpu, "wall_ms": clock}
    part.figures |= {"ratio": ratio, "wall_ratio": wall}
    part.verdicts.append(at_least(f"time to first token, {SHARED} tokens cached", TIMES_FASTER, ratio))
    return part


def _first_token(driven: Driven, prompt: tuple[int, ...]) -> Spent:
    driven.add(prompt, Sampling(1), ignore_end=True)
    return measured(driven.finish)
