"""Who computes what in a step; no model is needed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.engine.block_manager import BlockManager
from services.llm.engine.config import EngineConfig
from services.llm.engine.scheduler import Scheduler
from services.llm.engine.sequence import Sequence
from services.runtime.errors import TooMany


def scheduler(blocks: int = 64, **options: int) -> Scheduler:
    chosen = {"max_num_seqs": 4, "max_num_batched_tokens": 32, "max_model_len": 64, "max_waiting": 100} | options
    config = EngineConfig(**chosen)  # type: ignore[arg-type]  # by name
    return Scheduler(config, BlockManager(blocks, 16))


def sequence(name: str, tokens: int = 8, priority: int = 0, salt: int = 0) -> Sequence:
    return Sequence(name, [salt * 1000 + place for place in range(tokens)], 20, priority)


def step(under: Scheduler) -> list[tuple[str, int]]:
    """Schedules, and computes by giving each sequence that reaches its end one more token: (name, tokens computed)."""
    batch = under.schedule()
    found = [(scheduled.request_id, scheduled.num_scheduled) for scheduled in batch.sequences]
    for scheduled in batch.sequences:
        under.advance(scheduled, [7] if scheduled.reaches_end else [])
    return found


def names(sequences: list[Sequence]) -> str:
    return "".join(found.request_id for found in sequences)


def test_new_requests_join_a_step_in_which_others_decode() -> None:
    under = scheduler()
    under.add(sequence("a"))
    step(under)
    under.add(sequence("b", salt=1))
    batch = under.schedule()
    assert [(found.request_id, found.num_scheduled) for found in batch.sequences] == [("a", 1), ("b", 8)]


def test_a_long_prompt_is_read_in_chunks_between_which_others_decode() -> None:
    under = scheduler(max_num_batched_tokens=16, max_num_seqs=2)
    under.add(sequence("a"))
    step(under)
    under.add(sequence("b", 40, salt=1))
    seen = [[count for _, count in step(under)] for _ in range(4)]
    assert seen == [[1, 15], [1, 15], [1, 10], [1, 1]]


def test_an_urgent_long_prompt_does_not_stop_those_that_decode() -> None:
    under = scheduler(max_num_batched_tokens=16)
    under.add(sequence("a"))
    step(under)
    under.add(sequence("b", 60, priority=-1, salt=1))
    step(under)
    assert step(under) == [("b", 15), ("a", 1)]


def test_lower_numbers_go_first_and_equals_in_the_order_of_arrival() -> None:
    under = scheduler(max_num_seqs=1)
    for place, (name, priority) in enumerate([("a", 1), ("b", 0), ("c", 1), ("d", 0)]):
        under.add(sequence(name, priority=priority, salt=place))
    order = ""
    while under.waiting or under.running:
        step(under)
        order += names(under.running)
        under.remove(under.running[0])
    assert order == "bdac"


def test_when_blocks_run_out_the_last_of_the_lowest_priority_computes_again_later() -> None:
    under = scheduler(blocks=4, max_num_batched_tokens=64)
    for place, (name, priority) in enumerate([("a", 1), ("b", 0), ("c", 1)]):
        under.add(sequence(name, 16, priority=priority, salt=place))
    step(under)
    step(under)
    assert names(under.running) == "ba"
    assert names(under.waiting) == "c"
    assert under.waiting[0].num_computed == 0
    assert under.num_preemptions == 1


def test_a_draft_is_dropped_before_anybody_is_preempted() -> None:
    under = scheduler(blocks=4, max_num_batched_tokens=64)
    first, second = sequence("a", 31), sequence("b", 31, salt=1)
    for added in (first, second):
        under.add(added)
    step(under)
    first.draft = [1, 2, 3, 4]
    batch = under.schedule()
    assert [(found.request_id, found.num_scheduled) for found in batch.sequences] == [("a", 1), ("b", 1)]
    assert (first.draft, batch.preempted) == ([], [])


def test_a_draft_fits_the_budget_and_leaves_every_other_sequence_its_token() -> None:
    under = scheduler(max_num_batched_tokens=6, max_num_seqs=3)
    added = [sequence(name, 2, salt=place) for place, name in enumerate("abc")]
    for one in added:
        under.add(one)
    step(under)
    for one in added:
        one.draft = [1, 2, 3, 4, 5]
    assert [found.num_scheduled for found in under.schedule().sequences] == [4, 1, 1]


def test_a_full_waiting_list_refuses() -> None:
    under = scheduler(max_waiting=1)
    under.add(sequence("a"))
    with pytest.raises(TooMany):
        under.add(sequence("b"))


@given(seed=st.integers(0, 100_000))
@settings(deadline=None, max_examples=60)
def test_everything_finishes_and_equal_priorities_start_in_order(seed: int) -> None:
    draw = random.Random(seed)
    under = scheduler(blocks=draw.randint(4, 10), max_num_seqs=draw.randint(1, 4), max_num_batched_tokens=12)
    left = [sequence(str(n), draw.randint(1, 40), draw.randint(0, 1), salt=draw.randint(0, 3)) for n in range(12)]
    for late in left:
        late.max_tokens = draw.randint(1, 20)
    alive: list[Sequence] = []
    started: dict[int, list[int]] = {0: [], 1: []}
    for _ in range(3000):
        if left and draw.random() < 0.5:
            under.add(left[0])
            alive.append(left.pop(0))
        for running in under.running:
            running.draft = [draw.randint(0, 3) for _ in range(draw.randint(0, 3))]
        batch = under.schedule()
        assert batch.num_tokens <= 12
        assert len(under.running) <= under.config.max_num_seqs
        assert under.running == sorted(under.running, key=lambda found: found.rank)
        for ran in batch.sequences:
            assert len(ran.block_table) * 16 >= ran.num_computed + ran.num_scheduled
            if ran.num_preemptions == 0 and ran.arrival not in started[ran.priority]:
                started[ran.priority].append(ran.arrival)
            accepted = draw.randint(0, len(ran.draft))
            chosen = [*ran.draft[:accepted], draw.randint(0, 3)] if ran.reaches_end else []
            under.advance(ran, chosen[: ran.max_tokens - ran.num_generated])
            if ran.num_generated >= ran.max_tokens or draw.random() < 0.02:
                under.remove(ran)
                alive.remove(ran)
        if not left and not alive:
            break
    assert not alive
    assert under.blocks.num_used == 0
    assert all(order == sorted(order) for order in started.values())
