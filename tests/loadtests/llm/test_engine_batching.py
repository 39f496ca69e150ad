"""The static scheduler that continuous batching is compared with, and how wasted memory is counted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.llm.engine_batching import Memory, StaticScheduler
from loadtests.llm.engine_workload import in_batches, padded, useful_tokens
from services.llm.engine.block_manager import BlockManager
from services.llm.engine.config import EngineConfig
from services.llm.engine.scheduler import Scheduler
from services.llm.engine.sequence import Sequence as TokenSequence
from tests.loadtests.llm.test_engine_workload import jobs_of

BATCH = 4
CONFIG = EngineConfig(max_num_seqs=BATCH, max_num_batched_tokens=64, max_model_len=512, kv_blocks=256)


def steps_of(kind: type[Scheduler], lengths: Sequence[int]) -> list[list[str]]:
    """Who is computed in each step when every request decodes as long as its length says."""
    scheduler = kind(CONFIG, BlockManager(256, CONFIG.block_size, prefix_caching=False))
    for place, length in enumerate(lengths):
        scheduler.add(TokenSequence(str(place), [1, 2, 3], length))
    steps: list[list[str]] = []
    while scheduler.running or scheduler.waiting:
        batch = scheduler.schedule()
        steps.append([sequence.request_id for sequence in batch.sequences])
        for sequence in batch.sequences:
            scheduler.advance(sequence, [7])
            if sequence.num_generated == sequence.max_tokens:
                scheduler.remove(sequence)
    return steps


LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@given(LENGTHS)
def test_a_static_batch_takes_as_many_steps_as_its_longest_request(lengths: list[int]) -> None:
    batches = in_batches(jobs_of(lengths), BATCH)
    assert len(steps_of(StaticScheduler, lengths)) == sum(max(job.new_tokens for job in one) for one in batches)


@given(LENGTHS)
def test_nobody_joins_a_static_batch(lengths: list[int]) -> None:
    before: list[str] = []
    for step in steps_of(StaticScheduler, lengths):
        assert set(step) <= set(before) or not set(step) & set(before)
        before = step


@given(LENGTHS)
def test_continuous_batching_never_takes_more_steps_and_padding_changes_none(lengths: list[int]) -> None:
    static = len(steps_of(StaticScheduler, lengths))
    assert len(steps_of(Scheduler, lengths)) <= static
    stayed = [job.new_tokens for job in padded(jobs_of(lengths), BATCH)]
    assert len(steps_of(StaticScheduler, stayed)) == static
    assert sum(len(step) for step in steps_of(StaticScheduler, stayed)) == useful_tokens(
        padded(jobs_of(lengths), BATCH)
    )


def test_waste_is_the_share_of_held_places_that_hold_nothing() -> None:
    memory = Memory(filled=90, paged=100, reserved=900)
    assert memory.waste(memory.paged) == pytest.approx(0.1)
    assert memory.waste(memory.reserved) == pytest.approx(0.9)
