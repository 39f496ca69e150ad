"""Which of the backends that are free gets a call: one to be probed, the one that knows the prompt, the least busy."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from services.llm.routing.affinity import AffinityConfig, Keys
from services.llm.routing.seats import Seat


def choose(seats: Sequence[Seat], keys: Keys, config: AffinityConfig, random: Random) -> tuple[Seat, int]:
    """A seat of those given, all of them free, and how many characters of the prompt it has read before."""
    for seat in seats:
        # Otherwise a backend that is back might wait for its probe as long as the others have room.
        if seat.member.breaker.state != "closed":
            return seat, 0
    if keys and len(seats) > 1:
        seat, characters = _best_match(seats, keys, config)
        if characters >= config.least_match and _balanced(seat, seats, config.max_imbalance):
            return seat, characters
    return least_loaded(seats, random), 0


def least_loaded(seats: Sequence[Seat], random: Random) -> Seat:
    """The fewest calls in flight by weight; among equals at random, by weight."""
    if len(seats) == 1:
        return seats[0]
    least = min(seat.load for seat in seats)
    equals = [seat for seat in seats if seat.load == least]
    return equals[0] if len(equals) == 1 else random.choices(equals, [seat.weight for seat in equals])[0]


def _best_match(seats: Sequence[Seat], keys: Keys, config: AffinityConfig) -> tuple[Seat, int]:
    # Of equal matches the less busy one: a prefix that everybody shares is soon known everywhere.
    matches = [(seat.prefixes.match(keys), -seat.load, place) for place, seat in enumerate(seats)]
    chunks, _, place = max(matches)
    return seats[place], chunks * config.chunk


def _balanced(seat: Seat, seats: Sequence[Seat], most: int) -> bool:
    return seat.member.in_flight - min(other.member.in_flight for other in seats) <= most
