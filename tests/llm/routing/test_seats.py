"""A backend's places, and what becomes of them."""

from __future__ import annotations

import asyncio

import pytest

from services.llm.backends.template import TemplateBackend
from services.llm.routing.affinity import PrefixIndex
from services.llm.routing.breaker import BreakerConfig, State
from services.llm.routing.seats import LONGEST_REST_SECONDS, Member, Seat
from services.runtime.errors import CascadeError, DeadlineExceeded, InvalidArgument, NotFound, TooMany, Unavailable
from tests.llm.routing.test_breaker import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[tuple[str, State]]:
    return []


@pytest.fixture
def member(clock: Clock, changes: list[tuple[str, State]]) -> Member:
    config = BreakerConfig(failures=2, pause_seconds=1.0)
    return Member("red", TemplateBackend(), 2, config, lambda *change: changes.append(change), clock)


def test_a_place_is_given_back_once(member: Member) -> None:
    first, second = member.enter(), member.enter()
    assert (member.in_flight, member.free()) == (2, False)
    first.end()
    first.end(Unavailable("again"))
    assert (member.in_flight, member.failures, member.free()) == (1, 0, True)
    second.end()
    assert (member.in_flight, member.calls) == (0, 2)


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        (Unavailable("."), 1),
        (DeadlineExceeded("."), 1),
        (CascadeError("."), 1),
        (ZeroDivisionError(), 1),
        (InvalidArgument("."), 0),
        (NotFound("."), 0),
        (TooMany("."), 0),
        (asyncio.CancelledError(), 0),
        (GeneratorExit(), 0),
    ],
)
def test_only_the_backends_own_failures_count(member: Member, error: BaseException, failures: int) -> None:
    for _ in range(2):
        member.enter().end(error)
    assert member.failures == 2 * failures
    assert member.state().breaker == ("open" if failures else "closed")


def test_when_its_breaker_opens_what_it_has_read_is_forgotten(member: Member, changes: list[tuple[str, State]]) -> None:
    index = PrefixIndex(10)
    index.note([1, 2])
    member.prefixes.append(index)
    for _ in range(2):
        assert len(index) == 2
        member.enter().end(Unavailable("."))
    assert (len(index), changes) == (0, [("red", "open")])


def test_a_stream_that_is_a_probe_closes_the_breaker_with_its_first_piece(member: Member, clock: Clock) -> None:
    for _ in range(2):
        member.enter().end(Unavailable("."))
    clock.now += 1.0
    probe = member.enter()
    probe.answered()
    assert member.state().breaker == "closed"
    probe.end(Unavailable("broke"))
    member.enter().end(Unavailable("again"))
    assert member.state().breaker == "open"


def test_it_rests_as_long_as_it_asks_but_not_for_ever(member: Member, clock: Clock) -> None:
    member.enter().end(TooMany("Later.", retry_after=5.0))
    assert (member.free(), member.state().rests_seconds) == (False, 5.0)
    clock.now += 5.0
    assert member.free()
    member.enter().end(TooMany("Later.", retry_after=1e9))
    clock.now += LONGEST_REST_SECONDS
    assert member.free()


def test_weight_makes_the_same_calls_a_lighter_load(member: Member) -> None:
    member.enter()
    assert Seat(member, "m", 2.0, PrefixIndex(1)).load == 0.5
