"""Continuous batching: which tokens of which sequences the next step computes.

Every step goes to the running sequences first, then to waiting ones while the token budget, the blocks and the places
last. A prompt longer than what is left of the budget is read in chunks. When blocks run out, the last of the running
sequences gives its own back and computes again later. Yu et al., "Orca", OSDI 2022; Agrawal et al., "Sarathi-Serve",
OSDI 2024.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

from services.llm.engine.block_manager import BlockManager
from services.llm.engine.config import EngineConfig
from services.llm.engine.sequence import Sequence
from services.runtime.errors import TooMany


@dataclass(slots=True)
class Batch:
    """What a step computes: `num_scheduled` tokens of each sequence."""

    sequences: list[Sequence] = field(default_factory=list)
    preempted: list[Sequence] = field(default_factory=list)

    @property
    def num_tokens(self) -> int:
        """Tokens computed, drafts included."""
        return sum(sequence.num_scheduled for sequence in self.sequences)


class Scheduler:
    """Two lists in the order of priority and arrival, and the blocks."""

    def __init__(self, config: EngineConfig, blocks: BlockManager) -> None:
        self.config, self.blocks = config, blocks
        self.running: list[Sequence] = []
        self.waiting: list[Sequence] = []
        self.num_preemptions = 0
        self._arrivals = 0

    def add(self, sequence: Sequence) -> None:
        """Puts it behind those of equal priority. TooMany when the waiting list is full."""
        if len(self.waiting) >= self.config.max_waiting:
            raise TooMany(f"{len(self.waiting)} requests wait for the model already; try again in a moment.")
        sequence.arrival = self._arrivals
        self._arrivals += 1
        insort(self.waiting, sequence, key=_rank)

    def schedule(self) -> Batch:
        """Takes blocks for what it schedules; empty only when nothing waits and nothing runs."""
        batch = Batch()
        budget = self._schedule_running(batch, self.config.max_num_batched_tokens)
        if not batch.preempted:
            self._schedule_waiting(batch, budget)
        return batch

    def may_admit(self) -> bool:
        """Whether a place is free for a waiting sequence."""
        return len(self.running) < self.config.max_num_seqs

    def advance(self, sequence: Sequence, chosen: list[int]) -> None:
        """Counts a step as computed and appends what it chose: nothing unless the step reached the sequence's end."""
        if chosen:
            sequence.tokens.extend(chosen)
            sequence.num_computed = len(sequence.tokens) - 1
        else:
            sequence.num_computed += sequence.num_scheduled
        sequence.num_scheduled = 0
        sequence.draft = []
        self.blocks.remember(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Ends it, wherever it is, and frees its blocks."""
        (self.running if sequence in self.running else self.waiting).remove(sequence)
        self.blocks.free(sequence)

    def _schedule_running(self, batch: Batch, budget: int) -> int:
        index = 0
        while index < len(self.running):
            sequence = self.running[index]
            # Each that follows keeps one token: a long prompt holds up nobody's decoding.
            most = budget - (len(self.running) - index - 1)
            count = self._trim(sequence, most)
            if not self._make_room(sequence, count, batch):
                break
            count = self._trim(sequence, count)
            self.blocks.append(sequence, count)
            budget -= self._take(sequence, count, batch)
            index += 1
        return budget

    def _schedule_waiting(self, batch: Batch, budget: int) -> None:
        while self.waiting and budget and self.may_admit():
            sequence = self.waiting[0]
            prefix = self.blocks.match(sequence)
            if not self.blocks.can_allocate(sequence, prefix):
                break
            del self.waiting[0]
            self.blocks.allocate(sequence, prefix)
            if not sequence.num_preemptions:
                sequence.num_cached = sequence.num_computed
            insort(self.running, sequence, key=_rank)
            budget -= self._take(sequence, min(sequence.num_uncomputed, budget), batch)

    def _make_room(self, sequence: Sequence, count: int, batch: Batch) -> bool:
        """Frees blocks until `count` tokens fit; False when the sequence itself had to go."""
        if sequence.draft and not self.blocks.can_append(sequence, count):
            sequence.draft = []
            count = min(count, sequence.num_uncomputed)
        while not self.blocks.can_append(sequence, count):
            victim = self.running.pop()
            self._preempt(victim)
            batch.preempted.append(victim)
            if victim is sequence:
                return False
        return True

    def _preempt(self, victim: Sequence) -> None:
        self.blocks.free(victim)
        victim.draft = []
        victim.num_preemptions += 1
        self.num_preemptions += 1
        insort(self.waiting, victim, key=_rank)

    @staticmethod
    def _trim(sequence: Sequence, most: int) -> int:
        """Tokens to schedule, at most `most`; the draft is cut to what is left after the tokens that are known."""
        count = min(sequence.num_uncomputed, most)
        sequence.draft = sequence.draft[: most - count]
        return count + len(sequence.draft)

    @staticmethod
    def _take(sequence: Sequence, count: int, batch: Batch) -> int:
        sequence.num_scheduled = count
        batch.sequences.append(sequence)
        return count


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.rank
