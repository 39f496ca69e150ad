"""What is recorded is what is read; intervals pair users and seeds; every table and picture can be made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import ttest_1samp

from loadtests.simulation import recording
from loadtests.simulation.arrivals import Arrivals
from loadtests.simulation.freshness import Freshness
from loadtests.simulation.recording import Learning, Page, Round
from loadtests.simulation.report import write_report
from loadtests.simulation.settings import Cell, Simulation
from loadtests.simulation.statistics import Results, estimate
from tests.loadtests.small_people import small_world


def rounds(bonus: float, seed: int, learning: Learning | None = None) -> list[Round]:
    """Two rounds of three users whose expected clicks depend on user and seed, and on the arm by `bonus`."""
    return [
        Round(turn, tuple(Page(user, 0.1 * (user + seed) + bonus * turn, 2.0) for user in range(3)), learning=learning)
        for turn in (1, 2)
    ]


@pytest.fixture
def plan(tmp_path: Path) -> Simulation:
    """Two seeds of two arms, played, and one seed of a third arm."""
    plan = Simulation(
        tmp_path, seeds=2, users=3, rounds=2, clicks=("position",), arms=("frozen", "retrained", "feature")
    )
    refused = Learning("refused", 3.0, said="ranker: worse by .031")
    for seed in (0, 1):
        recording.write(plan.file_of(Cell(seed, "position", "frozen")), rounds(0.0, seed))
        recording.write(plan.file_of(Cell(seed, "position", "retrained")), rounds(0.1 + 0.02 * seed, seed, refused))
    published = Learning("published", 4.0, 5.0, versions={"ranker": "2"})
    recording.write(plan.file_of(Cell(0, "position", "feature")), rounds(0.3, 0, published))
    return plan


def test_what_was_written_is_read(tmp_path: Path) -> None:
    page = Page(1, 0.5, 1.0, 2, 1, "fallback", ("ranking",), 1, 0)
    whole = Round(1, (page,), 1.5, 0.2, 3, 0.1, 0.2, 9.0, Learning("published", 2.0, 3.0, "", {"ranker": "2"}))
    recording.write(tmp_path / "cell.jsonl", [whole, replace(whole, turn=2, learning=None)])
    assert recording.read(tmp_path / "cell.jsonl") == [whole, replace(whole, turn=2, learning=None)]


def test_a_difference_is_paired_by_seed_and_its_interval_is_over_seeds(plan: Simulation) -> None:
    found = Results.read(plan).difference("position", "retrained", "frozen")
    expected = ttest_1samp([0.2, 0.24], 0).confidence_interval()
    assert found[1].mean == pytest.approx(0.22)
    assert (found[1].low, found[1].high) == pytest.approx((expected.low, expected.high))


def test_a_difference_takes_only_seeds_that_both_arms_have_played(plan: Simulation) -> None:
    found = Results.read(plan).difference("position", "feature", "frozen")
    assert [one.mean for one in found] == pytest.approx([0.3, 0.6])
    assert Results.read(plan).difference("position", "weights", "frozen") == []


def test_one_sample_says_nothing_about_its_interval() -> None:
    assert np.isinf(estimate(np.array([1.0])).high)
    assert not estimate(np.array([1.0])).is_clear


def test_the_report_tells_clicks_differences_gate_and_freshness(plan: Simulation) -> None:
    Freshness((0.1, 0.2), (0.3,), 240.0, 480.0).write(plan.freshness_file)
    text = write_report(plan, small_world()).read_text()
    assert "| feature | 1 | 0.400 | 0.700 |" in text
    assert "ranker: worse by .031" in text
    assert "+0.220 [" in text
    assert "8.0 min" in text
    assert (plan.results / "position.png").read_bytes().startswith(b"\x89PNG")


def test_results_of_other_users_rounds_or_drift_are_kept_apart(tmp_path: Path) -> None:
    plans = [
        Simulation(tmp_path), Simulation(tmp_path, users=100), Simulation(tmp_path, rounds=3),
        Simulation(tmp_path, drift=0.1), Simulation(tmp_path, dataset="ml-100k"),
    ]  # fmt: skip
    assert len({plan.results for plan in plans}) == len(plans)


def test_nothing_is_missing_once_every_id_is_in_some_file_merged_or_not(tmp_path: Path) -> None:
    day = tmp_path / "date=2026-01-01"
    day.mkdir()

    def write(name: str, *ids: str) -> None:
        pq.write_table(pa.table({"event_id": pa.array(ids, pa.string())}), day / name)

    write("before.parquet", "old")
    arrivals = Arrivals(tmp_path, "event_id")
    arrivals.sent(["a", "b", "c"])
    write("1.parquet", "a")
    assert arrivals.missing() == 2
    write("2.parquet", "b")
    write("merged.parquet", "a", "b")
    (day / "1.parquet").unlink()
    assert arrivals.missing() == 1
    write("3.parquet", "c", "a")
    assert arrivals.missing() == 0
