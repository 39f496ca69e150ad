"""What the engine's bench asks for."""

from __future__ import annotations

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from loadtests.llm.engine_prompts import COPIES, FREE, explanations
from loadtests.llm.engine_workload import (
    LONGEST,
    SHORTEST,
    Job,
    equal,
    heavy_tailed,
    in_batches,
    padded,
    useful_tokens,
)

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=40)


def jobs_of(lengths: list[int]) -> list[Job]:
    return [Job((place,), length) for place, length in enumerate(lengths)]


def test_a_seed_gives_the_same_requests_and_another_one_others() -> None:
    assert heavy_tailed(64, 6) == heavy_tailed(64, 6) != heavy_tailed(64, 7)
    assert len({job.prompt for job in heavy_tailed(64, 6)}) == 64


@given(st.integers(0, 1000))
def test_lengths_stay_within_their_bounds(seed: int) -> None:
    for job in heavy_tailed(64, seed):
        assert SHORTEST <= job.new_tokens <= LONGEST
        assert 20 <= len(job.prompt) <= 60


def test_most_answers_are_short_and_a_few_very_long() -> None:
    lengths = [job.new_tokens for job in heavy_tailed(64, 6)]
    assert max(lengths) > 8 * median(lengths)


def test_equal_requests_are_of_one_size_with_prompts_of_their_own() -> None:
    jobs = equal(8, 1, prompt=32, new_tokens=64)
    assert {(len(job.prompt), job.new_tokens) for job in jobs} == {(32, 64)}
    assert len({job.prompt for job in jobs}) == 8


@given(LENGTHS, st.integers(1, 9))
def test_a_padded_request_lasts_as_long_as_its_batch_and_no_longer(lengths: list[int], size: int) -> None:
    jobs = jobs_of(lengths)
    stayed = padded(jobs, size)
    assert [job.prompt for job in stayed] == [job.prompt for job in jobs]
    for batch, plain in zip(in_batches(stayed, size), in_batches(jobs, size), strict=True):
        assert {job.new_tokens for job in batch} == {max(job.new_tokens for job in plain)}
    assert useful_tokens(jobs) == sum(lengths) <= useful_tokens(stayed)


def test_texts_are_all_different_and_explanations_end_where_the_model_goes_on() -> None:
    texts = [*COPIES, *FREE, *explanations(), *explanations(2)]
    assert len(set(texts)) == len(texts)
    assert all(text.endswith(",") for text in explanations(2))
