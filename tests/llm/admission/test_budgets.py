"""Budgets: reserved before, settled after, never overspent."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.admission.budget_book import BudgetBook, Claim
from services.llm.admission.budgets import Budgets
from services.llm.admission.ledger import Ledger
from services.llm.admission.prices import PICODOLLARS
from services.llm.admission.refusals import Limited
from services.runtime.errors import SettingsError, Unavailable
from tests.llm.admission.builders import Clock, key_of

CENT = PICODOLLARS // 100
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0


async def test_fifty_calls_at_once_cannot_overspend(tmp_path: Path) -> None:
    key, dice, spent, refused = key_of(budget_usd=1), random.Random(5), list[int](), list[Limited]()

    async def call(budgets: Budgets) -> None:
        worst = dice.randrange(CENT, 10 * CENT)
        try:
            with await budgets.reserve(key, worst) as reservation:
                for _ in range(dice.randrange(5)):
                    await asyncio.sleep(0)
                cost = dice.randrange(worst + 1)
                reservation.settle(cost)
                spent.append(cost)
        except Limited as error:
            refused.append(error)

    async with Budgets.open(tmp_path / "budgets.db", [key]) as budgets:
        for _ in range(4):
            await asyncio.gather(*(call(budgets) for _ in range(50)))
        state = budgets.state(key)
    assert len(spent) + len(refused) == 200
    assert refused
    assert spent
    assert sum(spent) <= PICODOLLARS
    assert state is not None
    assert (state.spent, state.reserved) == (sum(spent) / PICODOLLARS, 0)


async def test_a_released_or_failed_or_cancelled_call_costs_nothing(tmp_path: Path) -> None:
    key, begun = key_of(budget_usd=1), asyncio.Event()

    async def call(budgets: Budgets) -> None:
        with await budgets.reserve(key, 100 * CENT):
            begun.set()
            await asyncio.Event().wait()

    async with Budgets.open(tmp_path / "budgets.db", [key]) as budgets:
        (await budgets.reserve(key, 100 * CENT)).release()
        with pytest.raises(RuntimeError), await budgets.reserve(key, 100 * CENT):
            raise RuntimeError
        cancelled = asyncio.create_task(call(budgets))
        await begun.wait()
        with pytest.raises(Limited):
            await budgets.reserve(key, 1)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        reservation = await budgets.reserve(key, 100 * CENT)
        reservation.settle(40 * CENT)
        reservation.release()
        state = budgets.state(key)
    assert state is not None
    assert (state.budget, state.spent, state.reserved) == (1, 0.4, 0)


async def test_a_call_cancelled_while_it_waits_for_the_disk_holds_nothing(tmp_path: Path) -> None:
    key = key_of(budget_usd=1)
    async with Budgets.open(tmp_path / "budgets.db", [key]) as budgets:
        waiting = asyncio.create_task(budgets.reserve(key, 100 * CENT))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        (await budgets.reserve(key, 100 * CENT)).release()


async def test_a_refusal_tells_what_is_left_and_when_there_is_more(tmp_path: Path) -> None:
    key = key_of(budget_usd=0.05, budget_period="day")
    async with Budgets.open(tmp_path / "budgets.db", [key], Clock(NOON)) as budgets:
        (await budgets.reserve(key, 3 * CENT)).settle(3 * CENT)
        with pytest.raises(
            Limited, match=r"may cost \$0\.030000, and of the key's \$0\.05 a day \$0\.020000"
        ) as refused:
            await budgets.reserve(key, 3 * CENT)
        assert (refused.value.limit, refused.value.retry_after) == ("budget", 12 * HOUR)
        with await budgets.reserve(key, CENT):
            with pytest.raises(Limited) as refused:
                await budgets.reserve(key, 2 * CENT)
            assert refused.value.retry_after == 1.0
        (await budgets.reserve(key, 2 * CENT)).settle(2 * CENT)
        (await budgets.reserve(key, 0)).settle(0)


@pytest.mark.parametrize(("period", "hours"), [("day", 12), ("month", (9 * 24) + 12)])
async def test_a_new_period_starts_afresh_and_late_calls_belong_to_the_old_one(
    tmp_path: Path, period: str, hours: int
) -> None:
    clock, key = Clock(NOON), key_of(budget_usd=1, budget_period=period)
    async with Budgets.open(tmp_path / "budgets.db", [key], clock) as budgets:
        late = await budgets.reserve(key, 100 * CENT)
        clock.now += hours * HOUR - 1
        with pytest.raises(Limited):
            await budgets.reserve(key, 1)
        clock.now += 1
        with await budgets.reserve(key, 100 * CENT):
            late.settle(100 * CENT)
            state = budgets.state(key)
        assert state is not None
        assert (state.spent, state.reserved) == (0, 1)


async def test_exact_sums_survive_a_restart_and_a_changed_period(tmp_path: Path) -> None:
    path, clock = tmp_path / "budgets.db", Clock(NOON)
    for period, spent in (("month", 0.0), ("day", 0.3), ("month", 0.6), ("none", 0.9), ("none", 1.2)):
        key = key_of(budget_usd=2, budget_period=period)
        async with Budgets.open(path, [key], clock) as budgets:
            state = budgets.state(key)
            assert state is not None
            assert state.spent == pytest.approx(spent)
            (await budgets.reserve(key, 50 * CENT)).settle(30 * CENT)


async def test_a_clock_set_back_does_not_refill_a_budget(tmp_path: Path) -> None:
    path, clock, key = tmp_path / "budgets.db", Clock(NOON), key_of(budget_usd=1, budget_period="day")
    async with Budgets.open(path, [key], clock) as budgets:
        (await budgets.reserve(key, 100 * CENT)).settle(100 * CENT)
        clock.now -= 48 * HOUR
        with pytest.raises(Limited):
            await budgets.reserve(key, 1)
    async with Budgets.open(path, [key], clock) as budgets:
        with pytest.raises(Limited):
            await budgets.reserve(key, 1)


async def test_a_key_without_a_budget_spends_what_it_likes(tmp_path: Path) -> None:
    key = key_of()
    async with Budgets.open(tmp_path / "budgets.db", [key]) as budgets:
        (await budgets.reserve(key, 10**6 * PICODOLLARS)).settle(10**6 * PICODOLLARS)
        assert budgets.state(key) is None


async def test_a_cost_beyond_the_worst_case_is_counted_all_the_same(tmp_path: Path) -> None:
    key = key_of(budget_usd=1)
    async with Budgets.open(tmp_path / "budgets.db", [key]) as budgets:
        (await budgets.reserve(key, CENT)).settle(120 * CENT)
        with pytest.raises(Limited, match=r"\$0\.000000 is left"):
            await budgets.reserve(key, 1)


async def test_spending_is_on_the_disk_soon_after_it_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, write, written = key_of(budget_usd=10), BudgetBook.write, asyncio.Queue[int]()
    loop = asyncio.get_running_loop()

    def witnessed(book: BudgetBook, claims: Sequence[Claim]) -> None:
        write(book, claims)
        for claim in claims:
            loop.call_soon_threadsafe(written.put_nowait, claim.amount)

    monkeypatch.setattr(BudgetBook, "write", witnessed)
    async with Budgets.open(tmp_path / "budgets.db", [key]) as budgets, asyncio.timeout(10):
        reservation = await budgets.reserve(key, 50 * CENT)
        assert await written.get() >= 50 * CENT
        reservation.settle(7 * CENT)
        # 7 cents spent and the slack: twice the 50 that were reserved at once, which fade by a tenth at a write.
        assert await written.get() == 7 * CENT + 90 * CENT
    assert await written.get() == 7 * CENT


async def test_while_a_smaller_claim_is_written_nothing_is_handed_out_that_only_the_larger_one_covers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, write, begun, go_on = key_of(budget_usd=10), BudgetBook.write, asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def held_up(book: BudgetBook, claims: Sequence[Claim]) -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        write(book, claims)

    async with Budgets.open(tmp_path / "budgets.db", [key]) as budgets, asyncio.timeout(10):
        # 50 cents are held and 150 claimed; with nothing held, 90 are claimed.
        (await budgets.reserve(key, 50 * CENT)).release()
        monkeypatch.setattr(BudgetBook, "write", held_up)
        await begun.wait()
        within, beyond = (asyncio.create_task(budgets.reserve(key, amount * CENT)) for amount in (80, 11))
        await asyncio.wait([within])
        await asyncio.sleep(0)
        assert not beyond.done()
        go_on.set()
        for reservation in await asyncio.gather(within, beyond):
            reservation.release()


async def test_a_disk_that_takes_nothing_is_a_refusal_and_not_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    key = key_of(budget_usd=1)
    async with Budgets.open(tmp_path / "budgets.db", [key]) as budgets:
        with monkeypatch.context() as broken:
            broken.setattr(budgets._book, "write", full)
            with pytest.raises(Unavailable, match="disk is full"):
                await budgets.reserve(key, 100 * CENT)
        (await budgets.reserve(key, 100 * CENT)).release()


async def test_two_gateways_cannot_have_one_file_of_budgets(tmp_path: Path) -> None:
    async with Budgets.open(tmp_path / "budgets.db", []):
        with pytest.raises(SettingsError, match=r"budgets\.db cannot be opened \(database is locked\)"):
            async with Budgets.open(tmp_path / "budgets.db", []):
                pass


async def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "budgets.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(SettingsError, match="move a damaged file away"):
        async with Budgets.open(tmp_path / "budgets.db", []):
            pass


@settings(max_examples=60)
@given(
    budget=st.integers(0, 1000),
    steps=st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1), st.integers(0, 4)), max_size=40),
)
def test_a_ledger_never_holds_more_than_its_budget_and_claims_what_it_holds(
    budget: int, steps: list[tuple[int, float, int]]
) -> None:
    ledger, running = Ledger("web", budget, ""), list[tuple[int, int]]()
    for amount, share, ends in steps:
        if ledger.may_hold(amount):
            ledger.hold(amount)
            running.append((amount, int(amount * share)))
        for worst, cost in running[:ends]:
            ledger.reserved -= worst
            ledger.settled += cost
        del running[:ends]
        assert ledger.held <= budget
        assert ledger.held <= ledger.next_claim() <= budget
    assert ledger.reserved == sum(worst for worst, _ in running)
