"""How many users at which second. Pure; the locustfile hands one of these to Locust."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Shape(Protocol):
    """A plan of a run."""

    @property
    def spawn_rate(self) -> float:
        """Users that may come or go per second."""
        ...

    def users_at(self, second: float) -> int | None:
        """Users wanted; None ends the run."""
        ...


@dataclass(frozen=True, slots=True)
class Ramp:
    """A staircase from few users to many, so that every step stands long enough to be read."""

    target_users: int
    """Users on the last step."""
    seconds: float
    """Length of all steps together."""
    steps: int = 8

    def __post_init__(self) -> None:
        _positive("--target-users", self.target_users)
        _positive("--ramp-seconds", self.seconds)
        _positive("--ramp-steps", self.steps)

    @property
    def spawn_rate(self) -> float:
        """A step is climbed within a second."""
        return float(math.ceil(self.target_users / self.steps))

    def users_at(self, second: float) -> int | None:
        """The users of the step that holds at this second."""
        if second >= self.seconds:
            return None
        step = min(math.floor(second / self.seconds * self.steps) + 1, self.steps)
        return max(1, math.ceil(self.target_users * step / self.steps))


@dataclass(frozen=True, slots=True)
class Soak:
    """The same users from beginning to end."""

    target_users: int
    seconds: float
    arrival_seconds: float = 5.0
    """Over which the users arrive at the beginning."""

    def __post_init__(self) -> None:
        _positive("--target-users", self.target_users)
        _positive("--soak-seconds", self.seconds)

    @property
    def spawn_rate(self) -> float:
        """All within `arrival_seconds`."""
        return max(1.0, self.target_users / self.arrival_seconds)

    def users_at(self, second: float) -> int | None:
        """All of them, until the end."""
        return self.target_users if second < self.seconds else None


def _positive(option: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{option} must be more than 0, not {value:g}.")
