"""Blocks: held, shared, remembered, blank."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.engine.block_manager import BlockManager
from services.llm.engine.sequence import Sequence

SIZE = 4


def sequence(tokens: list[int]) -> Sequence:
    return Sequence("r", list(tokens), 10)


def computed(blocks: BlockManager, tokens: list[int]) -> Sequence:
    """A sequence whose tokens have all been computed."""
    found = sequence(tokens)
    blocks.allocate(found, blocks.match(found))
    found.num_computed = len(tokens)
    blocks.remember(found)
    return found


def test_a_sequence_takes_as_many_blocks_as_its_tokens_need() -> None:
    blocks = BlockManager(8, SIZE)
    for count, expected in ((1, 1), (4, 1), (5, 2), (16, 4)):
        taken = computed(blocks, list(range(count)))
        assert len(taken.block_table) == blocks.num_used == expected
        blocks.free(taken)
    assert blocks.num_free == 8


def test_a_block_is_shared_only_by_equal_prefixes() -> None:
    blocks = BlockManager(16, SIZE)
    first = computed(blocks, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    same = computed(blocks, [1, 2, 3, 4, 5, 6, 7, 8, 10])
    assert same.block_table[:2] == first.block_table[:2]
    assert [blocks.references(block) for block in first.block_table] == [2, 2, 1]
    # The second block's own tokens are equal; what is before them is not.
    other = computed(blocks, [0, 2, 3, 4, 5, 6, 7, 8, 9])
    assert not set(other.block_table) & set(first.block_table)


def test_the_last_token_is_never_found_so_that_there_is_one_to_compute() -> None:
    blocks = BlockManager(8, SIZE)
    first = computed(blocks, list(range(8)))
    blocks.free(first)
    again = sequence(list(range(8)))
    assert len(blocks.match(again)) == 1


def test_only_full_computed_blocks_are_found() -> None:
    blocks = BlockManager(8, SIZE)
    half = sequence(list(range(12)))
    blocks.allocate(half, [])
    half.num_computed = 7
    blocks.remember(half)
    assert blocks.match(sequence(list(range(12)))) == half.block_table[:1]


def test_the_oldest_remembered_block_goes_first_and_an_end_before_its_beginning() -> None:
    blocks = BlockManager(4, SIZE)
    old, new = computed(blocks, list(range(8))), computed(blocks, list(range(50, 58)))
    blocks.free(old)
    blocks.free(new)
    computed(blocks, [99])
    assert len(blocks.match(sequence(list(range(9))))) == 1
    assert len(blocks.match(sequence(list(range(50, 59))))) == 2


def test_a_remembered_prefix_does_not_count_as_room_for_the_rest() -> None:
    blocks = BlockManager(3, SIZE)
    blocks.free(computed(blocks, list(range(8))))
    long = sequence([*range(8), 20, 21, 22, 23, 24])
    assert not blocks.can_allocate(long, blocks.match(long))
    fitting = sequence([*range(8), 20])
    assert blocks.can_allocate(fitting, blocks.match(fitting))


def test_without_prefix_caching_nothing_is_found() -> None:
    blocks = BlockManager(8, SIZE, prefix_caching=False)
    blocks.free(computed(blocks, list(range(8))))
    assert blocks.match(sequence(list(range(9)))) == []
    assert blocks.queries == blocks.hits == 0


@given(seed=st.integers(0, 100_000))
@settings(deadline=None, max_examples=60)
def test_no_block_leaks_and_reference_counts_are_exact(seed: int) -> None:
    draw = random.Random(seed)
    blocks, held = BlockManager(12, SIZE), list[Sequence]()
    for _ in range(80):
        action = draw.random()
        if action < 0.4:
            fresh = sequence([draw.randint(0, 1) for _ in range(draw.randint(1, 20))])
            prefix = blocks.match(fresh)
            if blocks.can_allocate(fresh, prefix):
                blocks.allocate(fresh, prefix)
                held.append(fresh)
        elif held and action < 0.8:
            grown = draw.choice(held)
            count = draw.randint(1, 6)
            if blocks.can_append(grown, count):
                blocks.append(grown, count)
                grown.num_computed += count
                missing = grown.num_computed + 1 - len(grown.tokens)
                grown.tokens += [draw.randint(0, 1) for _ in range(missing)]
                blocks.remember(grown)
        elif held:
            blocks.free(held.pop(draw.randrange(len(held))))
        check(blocks, held)
    for left in held:
        blocks.free(left)
    assert blocks.num_free == blocks.num_blocks


def check(blocks: BlockManager, held: list[Sequence]) -> None:
    counts = Counter(block for holder in held for block in holder.block_table)
    assert all(blocks.references(block) == counts[block] for block in range(blocks.num_blocks))
    assert blocks.num_used == len(counts)
    for holder in held:
        assert len(set(holder.block_table)) == len(holder.block_table)
        assert len(holder.block_table) * SIZE >= holder.num_computed
    contents: dict[int, list[int]] = {}
    for holder in held:
        for index, block in enumerate(holder.block_table):
            prefix = holder.tokens[: (index + 1) * SIZE]
            assert contents.setdefault(block, prefix) == prefix
