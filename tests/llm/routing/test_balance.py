"""Who gets a call, of those that are free."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, seed
from hypothesis import strategies as st

from services.llm.backends.template import TemplateBackend
from services.llm.routing.affinity import AffinityConfig, PrefixIndex, chunk_keys
from services.llm.routing.balance import choose, least_loaded
from services.llm.routing.breaker import BreakerConfig
from services.llm.routing.seats import Member, Seat

CONFIG = AffinityConfig(chunk=4, least_match=8, max_imbalance=2)
TEXT = "The same beginning of every prompt."


def seat(in_flight: int, weight: float = 1.0, reads: str = "") -> Seat:
    member = Member("x", TemplateBackend(), 99, BreakerConfig(failures=1, pause_seconds=0.0), lambda *_: None)
    for _ in range(in_flight):
        member.enter()
    prefixes = PrefixIndex(100)
    prefixes.note(chunk_keys(reads, CONFIG))
    return Seat(member, "m", weight, prefixes)


def chosen(*seats: Seat, text: str = TEXT) -> tuple[int, int]:
    found, characters = choose(seats, chunk_keys(text, CONFIG), CONFIG, Random(1))
    return seats.index(found), characters


def test_the_least_busy_is_taken_and_weight_makes_less_busy() -> None:
    assert chosen(seat(2), seat(1), seat(3))[0] == 1
    assert chosen(seat(2), seat(3, weight=2))[0] == 1


def test_equals_share_by_weight() -> None:
    seats, random = [seat(0), seat(0, weight=3)], Random(1)
    counts = Counter(seats.index(least_loaded(seats, random)) for _ in range(4000))
    assert 2800 < counts[1] < 3200


def test_a_known_beginning_is_worth_some_imbalance_and_no_more() -> None:
    assert chosen(seat(0), seat(2, reads=TEXT)) == (1, 32)
    assert chosen(seat(0), seat(3, reads=TEXT)) == (0, 0)


def test_the_longest_match_wins_and_a_short_one_counts_for_nothing() -> None:
    assert chosen(seat(0, reads=TEXT[:12]), seat(1, reads=TEXT)) == (1, 32)
    assert chosen(seat(0), seat(1, reads=TEXT[:7] + "something else")) == (0, 0)


def test_one_that_waits_for_its_probe_goes_first() -> None:
    broken = seat(0)
    broken.member.enter().end(ConnectionError())
    assert broken.member.breaker.state == "open"
    assert chosen(seat(0, reads=TEXT), broken) == (1, 0)


@seed(7)
@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["", TEXT, TEXT[:12]])), min_size=1, max_size=5))
def test_the_balance_guard_holds(busy: list[tuple[int, str]]) -> None:
    seats = [seat(in_flight, reads=reads) for in_flight, reads in busy]
    place, characters = chosen(*seats)
    least = min(in_flight for in_flight, _ in busy)
    assert busy[place][0] <= least + (CONFIG.max_imbalance if characters else 0)
    assert characters <= len(busy[place][1])
