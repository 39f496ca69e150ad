"""Budgets: the worst case is reserved before a call and the true cost settled after it.

async with Budgets.open(data_dir / "llm-budgets.db", keys.all) as budgets:
    with await budgets.reserve(key, prices.worst_case(models, most_prompt_tokens(request), max_tokens)) as reservation:
        reservation.settle(prices.cost(model, usage))

The disk runs ahead of the spending: what a key may spend next is claimed there first, in the background, and a call
waits only when the claim is used up. So a crash never forgets spending. It takes for spent, besides what was, at most
the calls under way at the last write and the slack: 1 % of the budget, or twice what was lately reserved at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.llm.admission.budget_book import BudgetBook, Claim
from services.llm.admission.keys import VirtualKey
from services.llm.admission.ledger import Ledger, Reservation
from services.llm.admission.periods import period_at, seconds_left, still_counts
from services.llm.admission.prices import dollars, picodollars
from services.llm.admission.refusals import Limited
from services.runtime.errors import Unavailable
from services.runtime.logs import get_logger

WRITE_SECONDS = 1.0
"""How long a change may stay in memory when no call waits for it."""
CLAIM_SECONDS = 2.0
"""How long a call waits for the disk."""
PAUSE_SECONDS = 0.5
"""Between a write that failed and the next."""
SOON_SECONDS = 1.0
"""When to try again while the rest of a budget is reserved by calls under way."""

log = get_logger("budgets")


@dataclass(frozen=True, slots=True)
class Budget:
    """How a key stands, in dollars."""

    budget: float
    spent: float
    reserved: float
    seconds_left: float | None
    """Until it is refilled; None: never."""


class Budgets:
    """All keys' budgets. It belongs to one event loop, and its file to one process."""

    def __init__(self, book: BudgetBook, keys: Iterable[VirtualKey], clock: Callable[[], float] = time.time) -> None:
        self._book, self._clock = book, clock
        claims = {claim.key: claim for claim in book.claims()}
        self._ledgers = {
            key.name: self._opened(key, key.budget_usd, claims.get(key.name))
            for key in keys
            if key.budget_usd is not None
        }
        # SQLite's connection belongs to one thread; fsync must not hold up the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="budgets")
        self._to_write: set[str] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._dirty, self._urgent = asyncio.Event(), asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, keys: Iterable[VirtualKey], clock: Callable[[], float] = time.time
    ) -> AsyncIterator[Self]:
        """Writes in the background; when the block ends the file has the exact sums."""
        book = await asyncio.to_thread(BudgetBook, path)
        budgets = cls(book, keys, clock)
        writing = asyncio.create_task(budgets._write_forever())
        try:
            yield budgets
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await budgets._close()

    async def reserve(self, key: VirtualKey, amount: int, timeout: float = CLAIM_SECONDS) -> Reservation:
        """Sets `amount` picodollars aside. Limited when the budget has less left; Unavailable when that cannot be
        written down within `timeout` seconds.
        """
        ledger = self._current(key)
        if ledger is None:
            return Reservation(None, amount, self._changed)
        if not ledger.may_hold(amount):
            raise self._refusal(key, ledger, amount)
        ledger.hold(amount)
        reservation = Reservation(ledger, amount, self._changed)
        if amount and ledger.held > ledger.claimed:
            await self._claim(ledger, reservation, timeout)
        elif ledger.running_low:
            self._changed(ledger)
            self._urgent.set()
        return reservation

    def state(self, key: VirtualKey) -> Budget | None:
        """How the key stands now; None when it has no budget."""
        ledger = self._current(key)
        if ledger is None:
            return None
        left = seconds_left(key.budget_period, self._clock())
        return Budget(dollars(ledger.budget), dollars(ledger.settled), dollars(ledger.reserved), left)

    def _current(self, key: VirtualKey) -> Ledger | None:
        """The key's ledger of this period. Calls of the last one settle theirs, which nobody reads any more."""
        ledger = self._ledgers.get(key.name)
        if ledger is None:
            return None
        period = period_at(key.budget_period, self._clock())
        if period > ledger.period:
            ledger = self._ledgers[key.name] = Ledger(key.name, ledger.budget, period)
        return ledger

    def _opened(self, key: VirtualKey, budget_usd: float, claim: Claim | None) -> Ledger:
        ledger = Ledger(key.name, picodollars(budget_usd), period_at(key.budget_period, self._clock()))
        if claim is not None and still_counts(claim.period, ledger.period):
            ledger.period = max(ledger.period, claim.period) if key.budget_period != "none" else ""
            ledger.settled = ledger.claimed = claim.amount
        return ledger

    def _refusal(self, key: VirtualKey, ledger: Ledger, amount: int) -> Limited:
        left = max(0, ledger.budget - ledger.held)
        every = "" if key.budget_period == "none" else f" a {key.budget_period}"
        wait = seconds_left(key.budget_period, self._clock())
        if ledger.settled + amount <= ledger.budget:
            wait = SOON_SECONDS if wait is None else min(wait, SOON_SECONDS)
        return Limited(
            f"The request may cost ${dollars(amount):.6f}, and of the key's ${dollars(ledger.budget):g}{every} "
            f"${dollars(left):.6f} is left. Send a smaller max_tokens or name a cheaper model.",
            "budget",
            wait,
        )

    def _changed(self, ledger: Ledger) -> None:
        self._to_write.add(ledger.key)
        self._dirty.set()
        if ledger.held > ledger.claimed:
            self._urgent.set()

    async def _claim(self, ledger: Ledger, reservation: Reservation, timeout: float) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(written)
        self._changed(ledger)
        try:
            async with asyncio.timeout(timeout):
                await written
        except TimeoutError as error:
            reservation.release()
            raise Unavailable(f"The budget could not be written down within {timeout:g} s. Try again.") from error
        except BaseException:
            reservation.release()
            raise

    async def _write_forever(self) -> None:
        while True:
            await self._dirty.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), WRITE_SECONDS)
            self._dirty.clear()
            self._urgent.clear()
            try:
                await self._write()
            except sqlite3.Error:
                # A boundary: calls that need a claim are refused, the others go on, and the next write may succeed.
                log.exception("budgets are not written down")
                self._dirty.set()
                await asyncio.sleep(PAUSE_SECONDS)

    async def _write(self) -> None:
        ledgers = [self._ledgers[name] for name in self._to_write]
        waiting, self._waiting = self._waiting, []
        self._to_write.clear()
        claims = [Claim(ledger.key, ledger.period, ledger.next_claim()) for ledger in ledgers]
        for ledger, claim in zip(ledgers, claims, strict=True):
            # Until the write is known to be there, only what both the old and the new row allow may be handed out.
            ledger.claimed = min(ledger.claimed, claim.amount)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._book.write, claims)
        except sqlite3.Error as error:
            self._to_write.update(ledger.key for ledger in ledgers)
            _end(waiting, Unavailable(f"The budget could not be written down ({error}). Try again."))
            raise
        for ledger, claim in zip(ledgers, claims, strict=True):
            ledger.claimed = claim.amount
        _end(waiting, None)

    async def _close(self) -> None:
        claims = [Claim(ledger.key, ledger.period, ledger.held) for ledger in self._ledgers.values() if ledger.claimed]
        _end(self._waiting, Unavailable("The gateway is shutting down."))
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._book.write, claims)
        except sqlite3.Error:
            log.exception("the last spending is not written down; the claims made ahead of it stay")
        await asyncio.to_thread(self._thread.shutdown)
        self._book.close()


def _end(waiting: Iterable[asyncio.Future[None]], error: Unavailable | None) -> None:
    for future in waiting:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
