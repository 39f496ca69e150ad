"""What a run found, in bounded memory, merged over workers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.results import Latencies, Results


def answer(served_by: str = "fresh", *stages: str, total: float = 5.0) -> dict[str, Any]:
    return {
        "served_by": served_by,
        "degraded": [{"stage": stage} for stage in stages],
        "timings_ms": {"ranking": total / 2, "total": total},
    }


@given(st.lists(st.floats(0.02, 5e5), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_quantiles_are_off_by_one_percent_at_most(values: list[float], share: float) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    exact = np.quantile(values, share, method="inverted_cdf")
    assert latencies.quantile(share) == pytest.approx(exact, rel=0.0101)


def test_memory_is_bounded_whatever_comes() -> None:
    latencies = Latencies()
    for value in np.geomspace(1e-9, 1e12, 20_000):
        latencies.add(float(value))
    assert latencies.count == 20_000
    assert len(latencies.buckets) < 950


def test_no_values_have_no_quantile() -> None:
    assert math.isnan(Latencies().quantile(0.5))
    assert math.isnan(Results().degraded_share)


def test_answers_that_are_not_fresh_are_counted_by_stage_and_by_number_of_users() -> None:
    results = Results()
    results.add(10.0, answer(), 4, 0.0)
    results.add(20.0, answer("fallback", "ranking", "reranking"), 8, 1.0)
    results.add(30.0, answer("cache", "features"), 8, 1.5)
    assert results.degraded_share == pytest.approx(2 / 3)
    assert results.degraded == {"ranking": 1, "reranking": 1, "features": 1}
    assert {users: (level.latencies.count, level.not_fresh) for users, level in results.levels.items()} == {
        4: (1, 0), 8: (2, 2)
    }  # fmt: skip
    assert results.levels[8].per_second == pytest.approx(2.0)


def test_two_workers_handed_over_are_one_run_and_nothing_is_handed_over_twice() -> None:
    whole, master, workers = Results(), Results(), [Results(), Results()]
    for number in range(100):
        told = answer("fresh" if number % 3 else "cache", *(() if number % 3 else ("features",)), total=number + 1.0)
        whole.add(number + 2.0, told, None, 0.0)
        workers[number % 2].add(number + 2.0, told, None, 0.0)
    for _ in range(2):
        for worker in workers:
            master.merge(worker.handed_over())
    assert master == whole


def test_what_is_handed_over_is_plain() -> None:
    results = Results()
    results.add(3.0, answer(), None, 0.0)
    assert json.loads(json.dumps(results.handed_over()))["served_by"] == {"fresh": 1}
