"""Continuous against static batching, and paged against reserved memory, in the same runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from loadtests.llm.engine_drive import Driven, Model
from loadtests.llm.engine_part import Part, Spent, at_least, at_most, measured, paired_ratio
from loadtests.llm.engine_prompts import explanations
from loadtests.llm.engine_workload import LONGEST, SHORTEST, Job, heavy_tailed, padded, useful_tokens
from services.llm.engine.block_manager import BlockManager
from services.llm.engine.config import EngineConfig
from services.llm.engine.scheduler import Batch, Scheduler

BATCH = 8
REQUESTS = 64
RESERVED = 512
"""Tokens that a server without paging would reserve for a sequence: its max_model_len."""
STEPS_RATIO, TIME_RATIO, WASTE = 1.6, 2.2, 0.07
SEED = 6
_STEP_TOKENS = 512
"""A whole batch of prompts fits in one step; with fewer, a static batch would begin incomplete."""
_SETTINGS: dict[str, Any] = {
    "max_num_seqs": BATCH, "max_num_batched_tokens": _STEP_TOKENS, "max_model_len": RESERVED,
    "speculation": "off", "prefix_caching": False,
}  # fmt: skip


class StaticScheduler(Scheduler):
    """Fills an empty batch, and then lets nobody in until all of it has ended."""

    def __init__(self, config: EngineConfig, blocks: BlockManager) -> None:
        super().__init__(config, blocks)
        self._filling = True

    def schedule(self) -> Batch:
        """As its parent's; whether sequences may join is settled here."""
        self._filling = not self.running
        return super().schedule()

    def may_admit(self) -> bool:
        """Only while the batch is made."""
        return self._filling and super().may_admit()


@dataclass(slots=True)
class Memory:
    """Places for keys and values, summed over the steps."""

    filled: int = 0
    paged: int = 0
    """Places in blocks that were held."""
    reserved: int = 0
    """Places that RESERVED tokens for each sequence would have held."""

    def waste(self, held: int) -> float:
        """Share of the held places that held nothing."""
        return 1 - self.filled / held

    @property
    def held(self) -> float:
        """Tokens of a sequence, on average over the steps."""
        return self.filled * RESERVED / self.reserved

    @property
    def empty(self) -> float:
        """Empty places at its end."""
        return (self.paged - self.filled) * RESERVED / self.reserved

    def look(self, driven: Driven) -> None:
        """After a step."""
        step = driven.record.steps[-1]
        self.filled += step.slots_filled
        self.paged += step.blocks_used * driven.engine.config.block_size
        self.reserved += driven.engine.stats().running * RESERVED


@dataclass(slots=True)
class Way:
    """One way of batching, and what it took in each round."""

    name: str
    driven: Driven
    stay: bool = False
    """Whether rows stay until their batch ends."""
    spent: list[Spent] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    """In which some sequence decoded."""
    memory: Memory = field(default_factory=Memory)

    def run(self, jobs: Sequence[Job]) -> None:
        """All requests at once."""
        self.driven.record.clear()
        self.driven.add_jobs(padded(jobs, BATCH) if self.stay else jobs)
        self.spent.append(measured(self._finish))
        self.steps.append(self.driven.decode_steps)

    def _finish(self) -> None:
        while self.driven.engine.has_work:
            self.driven.engine.step()
            self.memory.look(self.driven)


def measure(model: Model, rounds: int) -> Part:
    """`rounds` rounds of each way in turn; the order of the requests differs by round."""
    ways = [
        Way("continuous", model.engine(**_SETTINGS)),
        Way("static, rows leave", model.engine(StaticScheduler, **_SETTINGS)),
        Way("static, rows stay", model.engine(StaticScheduler, **_SETTINGS), stay=True),
    ]
    useful = 0
    for turn in range(rounds):
        jobs = heavy_tailed(REQUESTS, SEED + turn)
        useful = useful_tokens(jobs)
        for way in ways[turn % 3 :] + ways[: turn % 3]:
            way.run(jobs)
    longer = Way("continuous, prompts of explanations", model.engine(**{**_SETTINGS, "max_model_len": 2 * RESERVED}))
    longer.run(heavy_tailed(REQUESTS, SEED, [len(model.tokenizer.encode(text)) for text in explanations()]))
    return _part(ways, longer.memory, useful)


def _part(ways: Sequence[Way], longer: Memory, useful: int) -> Part:
    orders = len(ways[0].steps)
    part = Part(
        f"{REQUESTS} heavy-tailed requests ({SHORTEST} to {LONGEST} tokens, {useful} in all), batch {BATCH}, "
        f"orders: {orders}",
        ("batching", "steps", "CPU s", "wall s", "useful/s", "steps ×", "CPU ×", "wall ×"),
    )
    continuous = ways[0]
    for way in ways:
        steps = median([one / other for one, other in zip(way.steps, continuous.steps, strict=True)])
        cpu, wall = (paired_ratio(way.spent, continuous.spent, clock) for clock in ("cpu", "wall"))
        seconds, by_clock = (median([getattr(one, clock) for one in way.spent]) for clock in ("cpu", "wall"))
        row = (
            f"{seconds:.1f}",
            f"{by_clock:.1f}",
            f"{useful / seconds:.0f}",
            f"{steps:.2f}",
            f"{cpu:.2f}",
            f"{wall:.2f}",
        )
        part.rows.append((way.name, f"{median(way.steps):g}", *row))
        part.figures[way.name] = {
            "decode_steps": way.steps,
            "cpu_seconds": [one.cpu for one in way.spent],
            "wall_seconds": [one.wall for one in way.spent],
            "useful_per_second": useful / seconds,
            "steps_ratio": steps,
            "cpu_ratio": cpu,
            "wall_ratio": wall,
        }
    _judge(part, continuous.memory, longer)
    return part


def _judge(part: Part, memory: Memory, longer: Memory) -> None:
    paged, reserved, behind = memory.waste(memory.paged), memory.waste(memory.reserved), longer.waste(longer.paged)
    part.figures["kv"] = {
        "paged_waste": paged, "reserved_waste": reserved, "held": memory.held, "empty": memory.empty,
        "paged_waste_behind_explanations": behind, "held_behind_explanations": longer.held,
    }  # fmt: skip
    part.notes += [
        f"KV memory that held nothing: {paged:.1%} paged, {reserved:.1%} reserved for {RESERVED} tokens. "
        f"A sequence held {memory.held:.0f} tokens on average, and {memory.empty:.1f} empty places at its end.",
        f"The same outputs behind prompts as long as those of explanations: {behind:.1%} paged; a sequence held "
        f"{longer.held:.0f} tokens, and {longer.empty:.1f} empty places.",
    ]
    stay = part.figures["static, rows stay"]
    part.verdicts += [
        at_least("continuous batching, decode steps against static", STEPS_RATIO, stay["steps_ratio"]),
        at_least("continuous batching, time against static whose rows stay", TIME_RATIO, stay["cpu_ratio"]),
        at_most("KV memory wasted, paged, prompts of 20 to 60 tokens", WASTE, paged),
        at_most("KV memory wasted, paged, prompts of explanations", WASTE, behind),
    ]
