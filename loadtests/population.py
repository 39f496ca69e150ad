"""Simulated visitors with known taste: who comes, how far down a list they look, what they do with what they see.

Seeded: the same draw gives the same visitor, newcomers' ids apart. Examination is the position-based click model
(Craswell et al., WSDM 2008): a click needs an item that was examined, which the position decides, and that appeals,
which taste decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from random import Random
from typing import Any
from uuid import uuid4

NEWCOMER = "visitor-"
"""Prefix of ids that nobody knows yet."""


class Population:
    """Users by id: those the models know, 1 to `known`, some far busier than others, and people who were never here."""

    def __init__(self, known: int = 6040, new_share: float = 0.05, exponent: float = 0.6, seed: int = 0) -> None:
        """The k-th busiest known user comes with a weight of 1/k^`exponent`; `seed` decides who is busy."""
        self._ids = [str(number) for number in range(1, known + 1)]
        Random(seed).shuffle(self._ids)
        self._weights = list(accumulate(rank**-exponent for rank in range(1, known + 1)))
        self._new_share = new_share if known else 1.0

    def arrival(self, draw: Random) -> str:
        """The id of the next visitor."""
        if draw.random() < self._new_share:
            return f"{NEWCOMER}{uuid4().hex}"
        return draw.choices(self._ids, cum_weights=self._weights)[0]


@dataclass(frozen=True, slots=True)
class Act:
    """What a visitor did with one shown item."""

    type: str
    """click, watch, like or hide."""
    item_id: str
    position: int
    """1 is the top."""
    value: float | None = None
    """A rating of 1 to 5 for what was watched."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Probabilities of a visitor's acts."""

    eta: float = 1.0
    """Position bias: 0 looks at everything alike, larger values look at the top only."""
    watches: float = 0.5
    """Share of clicks that become a watch."""
    likes: float = 0.3
    """Share of watches of items with an appeal above one half that become a like."""
    hides: float = 0.2
    """Share of examined items with an appeal below a tenth that are hidden."""


def examination(position: int, eta: float) -> float:
    """P(examine at position) = 1/position^eta; position 1 is always looked at."""
    return float(position**-eta)


def appeal(user_id: str, item: Mapping[str, Any]) -> float:
    """Taste of one user for one card, 0 to 1, the same whenever asked: the square of the mean liking of its genres, or
    of the item itself where the card tells none.
    """
    traits: Sequence[str] = item.get("genres") or [item["item_id"]]
    return (sum(_liking(user_id, trait) for trait in traits) / len(traits)) ** 2


def acts_on(user_id: str, shown: Sequence[Mapping[str, Any]], habits: Habits, draw: Random) -> list[Act]:
    """What a user does with a list of cards, from the top down; one look at each item at most."""
    acts: list[Act] = []
    for position, item in enumerate(shown, 1):
        if draw.random() < examination(position, habits.eta):
            acts += _acts_on_one(item["item_id"], position, appeal(user_id, item), habits, draw)
    return acts


def _acts_on_one(item_id: str, position: int, liking: float, habits: Habits, draw: Random) -> list[Act]:
    if draw.random() >= liking:
        hidden = liking < 0.1 and draw.random() < habits.hides
        return [Act("hide", item_id, position)] if hidden else []
    acts = [Act("click", item_id, position)]
    if draw.random() < habits.watches:
        acts.append(Act("watch", item_id, position, float(round(1 + 4 * liking))))
        if liking > 0.5 and draw.random() < habits.likes:
            acts.append(Act("like", item_id, position))
    return acts


def _liking(user_id: str, trait: str) -> float:
    """A uniform number that belongs to the pair."""
    digest = blake2b(f"{user_id}\0{trait}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64
