"""How fast tokens are read and written, quantised and not."""

from __future__ import annotations

import random
from statistics import median
from typing import Any

from loadtests.llm.engine_drive import Driven, Model
from loadtests.llm.engine_part import Part, Spent, measured, paired_ratio
from loadtests.llm.engine_workload import equal, random_prompt
from services.llm.calls import Sampling

BATCHES = (1, 4, 8, 16)
PRECISIONS = ("int8", "float32")
PROMPT, NEW_TOKENS, PREFILL = 64, 48, 256
SEED = 1


def measure(model: Model, rounds: int) -> Part:
    """`rounds` rounds of every batch size, the precisions in turn; of a round's decode steps the median counts."""
    plain: dict[str, Any] = {"speculation": "off", "prefix_caching": False}
    engines = {name: model.engine(precision=name, **plain) for name in PRECISIONS}
    seconds: dict[str, dict[str, list[Spent]]] = {name: {} for name in PRECISIONS}
    for turn in range(rounds):
        for batch in BATCHES:
            for name in PRECISIONS[:: 1 if turn % 2 else -1]:
                step = _decode_step(engines[name], batch, turn)
                seconds[name].setdefault(f"decode {batch}", []).append(step)
        for name in PRECISIONS:
            seconds[name].setdefault(f"prefill {PREFILL}", []).append(_prefill(engines[name], turn))
    return _part(seconds)


def _decode_step(driven: Driven, batch: int, turn: int) -> Spent:
    driven.record.clear()
    driven.add_jobs(equal(batch, SEED + turn, PROMPT, NEW_TOKENS))
    whole = measured(driven.finish)
    steps = [s.seconds for s in driven.record.steps if s.kind == "decode" and s.sequences == batch]
    cpu = median(steps)
    return Spent(cpu, cpu * whole.wall / whole.cpu)


def _prefill(driven: Driven, turn: int) -> Spent:
    driven.record.clear()
    driven.add(random_prompt(random.Random(SEED + turn), PREFILL), Sampling(1), ignore_end=True)
    return measured(driven.finish)


def _part(seconds: dict[str, dict[str, list[Spent]]]) -> Part:
    part = Part(
        "Tokens per second of CPU, one thread, quantised and not",
        ("work, sequences or tokens", *PRECISIONS, "int8 ×"),
    )
    quantised, plain = (seconds[name] for name in PRECISIONS)
    for work in quantised:
        tokens = int(work.rpartition(" ")[2])
        rates = [tokens / median([one.cpu for one in found[work]]) for found in (quantised, plain)]
        ratio = paired_ratio(plain[work], quantised[work])
        part.rows.append((work, *(f"{rate:.0f}" for rate in rates), f"{ratio:.2f}"))
        part.figures[work] = {**dict(zip(PRECISIONS, rates, strict=True)), "ratio": ratio}
    return part
