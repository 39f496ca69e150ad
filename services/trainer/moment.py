"""What every offline judgement is made of: someone, right before they turned to something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.user import UserState
from services.trainer.data.interactions import Interactions


@dataclass(frozen=True, slots=True)
class Moment:
    """A user right before an event, and the item of that event."""

    user: UserState
    """As of strictly before the event, at its time."""
    target: int

    @property
    def at_ms(self) -> int:
        """Milliseconds since 1970."""
        return self.user.at_ms


def moments_before(interactions: Interactions, lasts: Iterable[int]) -> list[Moment]:
    """Right before the `last`-th event from the end of every user that has one and an earlier one, for each `last`."""
    return [
        Moment(interactions.state_before(user, last), item)
        for last in lasts
        for user, item, _ in interactions.targets(last)
    ]
