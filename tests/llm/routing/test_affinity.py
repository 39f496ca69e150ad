"""Which backend has read a prompt's beginning."""

from __future__ import annotations

from hypothesis import given, seed
from hypothesis import strategies as st

from services.llm.routing.affinity import AffinityConfig, PrefixIndex, chunk_keys

CONFIG = AffinityConfig(chunk=4, least_match=8, longest_match=40)
texts = st.text("ab", max_size=60)


def test_a_text_has_a_key_for_each_whole_chunk_of_its_beginning() -> None:
    assert len(chunk_keys("x" * 11, CONFIG)) == 2
    assert len(chunk_keys("x" * 1000, CONFIG)) == 10
    assert chunk_keys("x" * 7, CONFIG) == ()
    assert chunk_keys("x" * 100, AffinityConfig(least_match=0)) == ()


def test_a_chunk_is_known_only_after_the_same_beginning() -> None:
    index = PrefixIndex(100)
    index.note(chunk_keys("aaaabbbbcccc", CONFIG))
    assert index.match(chunk_keys("aaaabbbbcccc", CONFIG)) == 3
    assert index.match(chunk_keys("aaaabbbbdddd", CONFIG)) == 2
    assert index.match(chunk_keys("ddddbbbbcccc", CONFIG)) == 0


def test_what_is_forgotten_first_is_an_end() -> None:
    index = PrefixIndex(3)
    index.note(chunk_keys("aaaabbbb", CONFIG))
    index.note(chunk_keys("ccccdddd", CONFIG))
    assert index.match(chunk_keys("aaaabbbb", CONFIG)) == 1
    assert index.match(chunk_keys("ccccdddd", CONFIG)) == 2


def test_what_was_used_again_is_kept() -> None:
    index = PrefixIndex(4)
    for text in ("aaaabbbb", "ccccdddd", "aaaabbbb", "eeeeffff"):
        index.note(chunk_keys(text, CONFIG))
    assert index.match(chunk_keys("aaaabbbb", CONFIG)) == 2
    assert index.match(chunk_keys("ccccdddd", CONFIG)) == 0
    index.clear()
    assert (len(index), index.match(chunk_keys("aaaabbbb", CONFIG))) == (0, 0)


@seed(6)
@given(st.lists(texts), texts, st.integers(1, 30))
def test_the_index_is_bounded_and_a_hit_is_a_true_shared_prefix(read: list[str], asked: str, most: int) -> None:
    index = PrefixIndex(most)
    for text in read:
        index.note(chunk_keys(text, CONFIG))
        assert len(index) <= most
    matched = index.match(chunk_keys(asked, CONFIG)) * CONFIG.chunk
    assert matched == 0 or any(text.startswith(asked[:matched]) for text in read)
    longest = max((shared(text, asked) for text in read), default=0)
    if most == 30 and sum(len(text) // CONFIG.chunk for text in read) <= most:
        assert matched == longest


def shared(text: str, asked: str) -> int:
    """Characters in whole chunks that both begin with, by plain comparison."""
    both = min(len(chunk_keys(text, CONFIG)), len(chunk_keys(asked, CONFIG)))
    equal = [n for n in range(both + 1) if text[: n * CONFIG.chunk] == asked[: n * CONFIG.chunk]]
    return max(equal) * CONFIG.chunk
