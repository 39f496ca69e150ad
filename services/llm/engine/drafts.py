"""Speculative decoding: guess the next tokens from the text itself, and only while verifying them pays.

Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", ICML 2023; drafts by prompt lookup. As a
draft is one certain token at each place, a choice made without it is right with it too: tokens are accepted while they
equal what would have been chosen anyway.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PRIOR = 0.5
_WEIGHT = 2.0
"""Tokens the prior counts for."""
_MEMORY = 0.9
"""What an earlier verification still counts for after another one."""
_HEALING = 0.01
"""How far an untried estimate returns to the prior with every step."""
MARGIN = 1.1
"""A draft must promise this much more than its cost: costs are measured, promises are estimates."""


class NgramIndex:
    """Where each short run of tokens was last followed by something."""

    def __init__(self, sizes: tuple[int, ...] = (4, 3, 2)) -> None:
        self._sizes = sizes
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}

    def extend(self, tokens: Sequence[int]) -> None:
        """Adds tokens at the end."""
        for token in tokens:
            for size in self._sizes:
                if len(self._tokens) >= size:
                    self._after[tuple(self._tokens[-size:])] = len(self._tokens)
            self._tokens.append(token)

    def propose(self, count: int) -> list[int]:
        """What followed the longest run that the text ends with; it may run into itself."""
        for size in self._sizes:
            start = self._after.get(tuple(self._tokens[-size:])) if len(self._tokens) >= size else None
            if start is not None:
                period = len(self._tokens) - start
                return [self._tokens[start + offset % period] for offset in range(count)]
        return []


@dataclass(slots=True)
class Acceptance:
    """How likely the next drafted token of a sequence is accepted."""

    accepted: float = 0.0
    tried: float = 0.0

    @property
    def rate(self) -> float:
        """Posterior mean."""
        return (self.accepted + _PRIOR * _WEIGHT) / (self.tried + _WEIGHT)

    def observe(self, drafted: int, accepted: int) -> None:
        """After a verification: tokens behind the first refused one say nothing."""
        self.accepted = self.accepted * _MEMORY + accepted
        self.tried = self.tried * _MEMORY + min(accepted + 1, drafted)

    def heal(self) -> None:
        """After a step without a draft: what was bad is tried again one day."""
        self.accepted *= 1 - _HEALING
        self.tried *= 1 - _HEALING


class StepCosts:
    """Seconds of a step by its rows, between the measured sizes by straight lines.

    Sequences with different numbers of rows do not share an attention call: each number beside the first costs
    `group_seconds` more.
    """

    def __init__(self, seconds: Mapping[int, float], group_seconds: float = 0.0) -> None:
        self._rows, self._group_seconds = sorted(seconds), max(0.0, group_seconds)
        # More rows never cost less: a noisy measurement must not make them look free.
        self._seconds: list[float] = []
        for rows in self._rows:
            self._seconds.append(max([seconds[rows], *self._seconds[-1:]]))

    def of(self, rows: int, groups: int = 1) -> float:
        """Seconds of a step with so many rows in so many groups of sequences."""
        place = min(max(bisect_left(self._rows, rows), 1), len(self._rows) - 1)
        left, right = self._rows[place - 1], self._rows[place]
        slope = (self._seconds[place] - self._seconds[place - 1]) / (right - left)
        between = self._seconds[place - 1] + slope * (max(rows, 1) - left)
        return between + self._group_seconds * (groups - 1)


def lengths_that_pay(rates: Sequence[float], drafts: Sequence[int], rows: int, costs: StepCosts) -> list[int]:
    """How much of each draft to verify so that tokens per second are expected to be most.

    `rates` are acceptances, `drafts` lengths, `rows` the rows of the step without any. Sequences verify equally many
    tokens or none, the surest first: every other number would be one more group.
    """
    order = sorted(range(len(rates)), key=lambda index: -rates[index])
    best, chosen, common = rows / costs.of(rows) * MARGIN, list[int](), 0
    for length in range(1, max(drafts, default=0) + 1):
        able = [index for index in order if drafts[index] >= length]
        tokens = float(rows)
        for count, index in enumerate(able, start=1):
            tokens += sum(rates[index] ** place for place in range(1, length + 1))
            speed = tokens / costs.of(rows + count * length, 1 if count == rows else 2)
            if speed > best:
                best, chosen, common = speed, able[:count], length
    return [common if index in chosen else 0 for index in range(len(rates))]
