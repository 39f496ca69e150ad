"""One key's money in one period: what is spent, what is reserved, and what the disk says of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

SLACK_SHARE = 0.01
"""Of the budget, claimed on the disk ahead of the spending."""


@dataclass(slots=True)
class Ledger:
    """Sums in picodollars. Nothing is handed out beyond `claimed`: a crash forgets no spending."""

    key: str
    budget: int
    period: str
    settled: int = 0
    """What answers have cost."""
    reserved: int = 0
    """What calls under way may cost."""
    claimed: int = 0
    """The disk says at least this; after a crash it is taken for spent."""
    peak: int = 0
    """What was reserved at once in the last seconds."""

    @property
    def held(self) -> int:
        """Spent and reserved together."""
        return self.settled + self.reserved

    @property
    def slack(self) -> int:
        """What is claimed ahead, so that calls do not wait for the disk."""
        return max(int(self.budget * SLACK_SHARE), 2 * self.peak)

    @property
    def running_low(self) -> bool:
        """Whether more should be claimed before somebody has to wait for it."""
        return self.claimed < self.budget and self.claimed - self.held < self.slack // 2

    def may_hold(self, amount: int) -> bool:
        """Whether the budget has that much left. A free call is always possible."""
        return amount == 0 or self.held + amount <= self.budget

    def hold(self, amount: int) -> None:
        """Assumes that one may."""
        self.reserved += amount
        self.peak = max(self.peak, self.reserved)

    def next_claim(self) -> int:
        """What the disk should say now."""
        self.peak = max(self.reserved, self.peak * 9 // 10)
        return max(self.held, min(self.budget, self.held + self.slack))


class Reservation:
    """Money set aside for one call: settled once, with what it cost, or released.

    with await budgets.reserve(key, worst_case) as reservation:
        ...                                  # an error or a cancelled request releases it
        reservation.settle(cost)
    """

    __slots__ = ("_amount", "_ledger", "_tell")

    def __init__(self, ledger: Ledger | None, amount: int, changed: Callable[[Ledger], None]) -> None:
        """`ledger` holds the amount already; None: the key has no budget. `changed` is told when it was settled."""
        self._ledger = ledger
        self._amount = amount
        self._tell = changed

    def settle(self, cost: int) -> None:
        """What the call cost, in picodollars. Only the first call of this or of `release` counts."""
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.reserved -= self._amount
            ledger.settled += cost
            self._tell(ledger)

    def release(self) -> None:
        """The call cost nothing."""
        self.settle(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
