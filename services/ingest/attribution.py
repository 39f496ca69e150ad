"""Which shown item a reaction belongs to: impressions remembered for a while, events looked up among them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from services.pb import events_pb2
from services.runtime.metrics import IMPRESSIONS, REACTIONS

REMEMBERED = 20_000
"""Slates remembered, about 8 MB; at fifty requests a second the last seven minutes."""
PATIENCE_SECONDS = 30.0
"""How long a reaction that came before its impression waits for it: two topics keep no order between them."""
SLOTS = ("ranked", "fresh", "explore", "other")
ARMS = ("challenger", "champion")
UNKNOWN = "unknown"
"""What is told of a recommendation whose impression is not remembered: it stays out of every rate."""


class Slate(NamedTuple):
    """A slate, packed: there are many."""

    ids: bytes
    """(M,) little-endian uint64, in order."""
    slots: bytes
    """(M,) places in SLOTS."""
    arm: str


class Early(NamedTuple):
    """A reaction whose impression has not come."""

    since: float
    type: str
    item_id: int


class Attribution:
    """Counts items shown and reactions to them, by slot, arm and position."""

    def __init__(self, remembered: int = REMEMBERED, clock: Callable[[], float] = time.monotonic) -> None:
        self._remembered = remembered
        self._clock = clock
        self._slates: dict[str, Slate] = {}
        self._early: dict[str, list[Early]] = {}
        """By recommendation, the oldest first."""
        self._waiting = 0

    def shown(self, impressions: Iterable[events_pb2.Impression]) -> None:
        """Counts the items of slates that are not remembered yet: the log may deliver one twice."""
        for impression in impressions:
            if impression.recommendation_id in self._slates:
                continue
            slate = _packed(impression)
            while len(self._slates) >= self._remembered:
                del self._slates[next(iter(self._slates))]
            self._slates[impression.recommendation_id] = slate
            for place, slot in enumerate(slate.slots):
                IMPRESSIONS.labels(SLOTS[slot], slate.arm, band(place + 1)).inc()
            self._settle(impression.recommendation_id, slate)

    def reacted(self, events: Iterable[events_pb2.Event]) -> None:
        """Counts events that name a recommendation, each event once: give only those that are new."""
        now = self._clock()
        for event in events:
            name = event.recommendation_id
            if (slate := self._slates.get(name)) is not None:
                _count(event.type, event.item_id, slate)
            elif name:
                self._early.setdefault(name, []).append(Early(now, event.type, event.item_id))
                self._waiting += 1
        self._give_up(now)

    def _give_up(self, now: float) -> None:
        while self._early:
            name, waiting = next(iter(self._early.items()))
            if self._waiting <= self._remembered and now - waiting[0].since < PATIENCE_SECONDS:
                return
            self._settle(name, None)

    def _settle(self, name: str, slate: Slate | None) -> None:
        early = self._early.pop(name, [])
        self._waiting -= len(early)
        for _, kind, item_id in early:
            _count(kind, item_id, slate)


def _count(kind: str, item_id: int, slate: Slate | None) -> None:
    places = np.flatnonzero(np.frombuffer(slate.ids, "<u8") == item_id) if slate else np.empty(0, np.intp)
    if slate is None or not places.size:
        REACTIONS.labels(kind, UNKNOWN, UNKNOWN, UNKNOWN).inc()
        return
    place = int(places[0])
    REACTIONS.labels(kind, SLOTS[slate.slots[place]], slate.arm, band(place + 1)).inc()


def band(position: int) -> str:
    """Positions, 1 the top, in four bands."""
    if position <= 1:
        return "1"
    if position <= 3:
        return "2-3"
    return "4-10" if position <= 10 else "11+"


def _packed(impression: events_pb2.Impression) -> Slate:
    slots = bytes(SLOTS.index(slot) if slot in SLOTS else SLOTS.index("other") for slot in impression.slots)
    return Slate(np.array(impression.item_ids, "<u8").tobytes(), slots, _arm_of(set(impression.experiments.values())))


def _arm_of(variants: set[str]) -> str:
    """The arm of a slate from the variant of each model that made it: one challenger among them makes it theirs."""
    return next((arm for arm in ARMS if arm in variants), "other" if variants else "none")
