"""What every offline judgement is made of: someone, right before they turned to something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from models.feature_blocks import LIKED
from models.user import UserState
from services.trainer.data.interactions import Interactions

LOVED = 5.0
RETURN_MS = 600_000
Reactions = tuple[float, float, float]
"""1, 0 or NaN for unknown, in the order of models.rows.REACTIONS."""
UNKNOWN: Reactions = (np.nan, np.nan, np.nan)


@dataclass(frozen=True, slots=True)
class Moment:
    """A user right before an event, and the item of that event."""

    user: UserState
    """As of strictly before the event, at its time."""
    target: int
    reactions: Reactions = UNKNOWN
    """What the user did with the target."""

    @property
    def at_ms(self) -> int:
        """Milliseconds since 1970."""
        return self.user.at_ms


def moments_before(interactions: Interactions, lasts: Iterable[int], timed: bool = True) -> list[Moment]:
    """Right before the `last`-th event from the end of every user that has one and an earlier one, for each `last`.

    A request knows when it is made. Not `timed`, nobody does: each is as of the user's newest event.
    """
    moments = [
        Moment(interactions.state_before(user, last), item, reactions_to(interactions, user, last))
        for last in lasts
        for user, item, _ in interactions.targets(last)
    ]
    return moments if timed else [_as_of_the_newest(moment) for moment in moments]


def _as_of_the_newest(moment: Moment) -> Moment:
    return replace(moment, user=replace(moment.user, at_ms=int(moment.user.history_times[-1])))


def reactions_to(interactions: Interactions, user: int, last: int) -> Reactions:
    """What came of user row `user`'s `last`-th event from the end: liked and loved by its value, and whether the user
    turned to something else in a later second within ten minutes. Unknown without a value, and without later events.
    """
    end = int(interactions.offsets[user + 1])
    place = end - last
    value = float(interactions.values[place])
    liked, loved = (float("nan"),) * 2 if np.isnan(value) else (float(value >= LIKED), float(value >= LOVED))
    # Events of one second carry no order that a wait could be read from.
    waits = interactions.times_ms[place + 1 : end] - interactions.times_ms[place]
    later = waits[waits >= 1000]
    return liked, loved, float(later[0] <= RETURN_MS) if later.size else float("nan")
