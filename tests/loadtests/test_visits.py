"""What a visit asks, checks and posts."""

from __future__ import annotations

from random import Random

from loadtests.population import Act
from loadtests.visits import MAX_PAGES, Visit
from services.gateway.questions import RecommendationRequest
from services.gateway.schemas import Event


def items(*ids: str) -> list[dict[str, str]]:
    return [{"item_id": item} for item in ids]


def test_what_a_visit_sends_is_what_the_gateway_takes() -> None:
    visit = Visit.start("42", Random(0))
    asked = RecommendationRequest.model_validate(visit.ask(7))
    assert (asked.user_id, asked.n, asked.session_id) == ("42", 7, visit.session_id)
    acts = [Act("click", "5", 2), Act("watch", "5", 2, 4.0), Act("hide", "6", 3)]
    sent = [Event.model_validate(event) for event in visit.events(acts, "r-1")["events"]]
    assert [(event.type, event.item_id, event.position, event.value) for event in sent] == [
        ("click", "5", 2, None),
        ("watch", "5", 2, 4.0),
        ("hide", "6", 3, None),
    ]
    assert {event.recommendation_id for event in sent} == {"r-1"}


def test_two_runs_with_one_seed_never_share_an_event_id() -> None:
    acts = [Act("click", "5", 1)]
    first, second = (Visit.start("42", Random(0)).events(acts, "r")["events"] for _ in range(2))
    assert first[0]["event_id"] != second[0]["event_id"]


def test_watched_and_hidden_items_must_not_come_back_once_acknowledged() -> None:
    visit = Visit.start("42", Random(0))
    assert visit.fault(items("1", "2", "3"), 3) is None
    visit.acknowledged([Act("watch", "1", 1), Act("click", "2", 2), Act("hide", "3", 3)])
    assert visit.fault(items("2", "4", "5"), 3) is None
    for gone in ("1", "3"):
        assert visit.fault(items("2", "4", gone), 3) == (
            "An item that was watched or hidden in this visit is shown again."
        )


def test_short_lists_and_repeated_items_are_faults() -> None:
    visit = Visit.start("42", Random(0))
    assert visit.fault(items("1"), 2) == "1 items instead of 2."
    assert visit.fault(items("1", "1"), 2) == "An item is in the list twice."


def test_a_visit_has_at_least_one_page_and_an_end() -> None:
    assert list(Visit("1", "s", Random(0), stays=0.0).pages()) == [1]
    assert list(Visit("1", "s", Random(0), stays=1.0).pages()) == list(range(1, MAX_PAGES + 1))
