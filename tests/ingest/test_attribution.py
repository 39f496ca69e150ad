"""Reactions come under the impression that caused them, in whatever order the two topics are read."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from services.ingest.attribution import PATIENCE_SECONDS, Attribution
from services.pb import events_pb2
from services.runtime.metrics import IMPRESSIONS, REACTIONS
from tests.ingest.log import event, impression


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def fresh_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    # Feast, which other tests import, sets it; the library then warns of what `clear` cannot reach.
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    IMPRESSIONS.clear()
    REACTIONS.clear()


def slate(name: str, slots: tuple[str, ...] = ("ranked", "ranked", "explore"), arm: str = "champion") -> Any:
    made = impression(name, range(100, 100 + len(slots)))
    del made.slots[:]
    made.slots.extend(slots)
    made.experiments["ranker"] = arm
    return made


def click(recommendation: str, item: int, position: int = 1) -> events_pb2.Event:
    return event(item_id=item, recommendation_id=recommendation, position=position)


def counted(counter: Any) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.value
    }


def test_items_shown_are_counted_by_slot_arm_and_position_and_a_redelivered_slate_once() -> None:
    attribution = Attribution()
    attribution.shown([slate("r-1"), slate("r-1")])
    attribution.shown([slate("r-1")])
    assert counted(IMPRESSIONS) == {
        ("ranked", "champion", "1"): 1,
        ("ranked", "champion", "2-3"): 1,
        ("explore", "champion", "2-3"): 1,
    }


@pytest.mark.parametrize(
    ("experiments", "arm"),
    [
        ({"ranker": "champion", "two_tower": "challenger"}, "challenger"),
        ({"ranker": "champion", "two_tower": "champion"}, "champion"),
        ({"ranker": "green"}, "other"),
        ({}, "none"),
    ],
)
def test_a_slate_that_any_challenger_had_a_part_in_is_the_challengers(experiments: dict[str, str], arm: str) -> None:
    shown = slate("r-1", slots=("ranked",))
    shown.experiments.clear()
    shown.experiments.update(experiments)
    Attribution().shown([shown])
    assert counted(IMPRESSIONS) == {("ranked", arm, "1"): 1}


def test_a_click_counts_where_its_item_was_shown_whatever_position_it_claims() -> None:
    attribution = Attribution()
    attribution.shown([slate("r-1", arm="challenger")])
    attribution.reacted([click("r-1", 102, position=1), event(item_id=102)])
    assert counted(REACTIONS) == {("click", "explore", "challenger", "2-3"): 1}


def test_a_click_that_is_read_before_its_impression_waits_for_it() -> None:
    attribution = Attribution()
    attribution.reacted([click("r-1", 100)])
    assert counted(REACTIONS) == {}
    attribution.shown([slate("r-1")])
    assert counted(REACTIONS) == {("click", "ranked", "champion", "1"): 1}


def test_a_click_without_an_impression_is_counted_as_unknown_in_the_end() -> None:
    clock = Clock()
    attribution = Attribution(clock=clock)
    attribution.reacted([click("lost", 100)])
    clock.now = PATIENCE_SECONDS
    attribution.reacted([])
    attribution.shown([slate("r-1")])
    attribution.reacted([click("r-1", 999)])
    assert counted(REACTIONS) == {("click", "unknown", "unknown", "unknown"): 2}


def test_memory_is_bounded_whatever_comes() -> None:
    attribution = Attribution(remembered=10)
    attribution.shown(slate(uuid.uuid4().hex) for _ in range(100))
    attribution.reacted(click(uuid.uuid4().hex, 100) for _ in range(100))
    attribution.reacted([click("one", 100)] * 100)
    assert len(attribution._slates) == 10
    assert sum(map(len, attribution._early.values())) <= 10


def test_labels_stay_few_whatever_the_log_holds() -> None:
    attribution = Attribution()
    attribution.shown([slate("r-1", ("made-up", "ranked", "fresh"), "arm-of-somebody")])
    assert {(slot, arm) for slot, arm, _ in counted(IMPRESSIONS)} == {
        ("other", "other"), ("ranked", "other"), ("fresh", "other")
    }  # fmt: skip
