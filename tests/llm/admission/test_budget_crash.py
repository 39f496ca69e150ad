"""What a budget knows after kill -9."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from pathlib import Path

import pytest

from services.llm.admission.budget_book import BudgetBook
from services.llm.admission.ledger import SLACK_SHARE
from services.llm.admission.prices import picodollars
from tests.llm.admission.spender import BUDGET, CALLS_AT_ONCE, MOST


async def spend_and_kill(path: Path, seed: int, calls: int) -> tuple[int, int]:
    """(reserved, settled) as last told by a process that was killed in the middle of its work."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.llm.admission.spender", str(path), str(seed), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = list[str]()
    async with asyncio.timeout(30):
        for _ in range(calls):
            lines.append((await process.stdout.readline()).decode())
            assert lines[-1], "the spender ended by itself"
        process.kill()
        lines += (await process.stdout.read()).decode().splitlines(keepends=True)
        await process.wait()
    reserved, settled = [line for line in lines if line.endswith("\n")][-1].split()
    return int(reserved), int(settled)


@pytest.mark.parametrize(("seed", "calls"), [(1, 1), (2, 40), (3, 900)])
async def test_a_killed_gateway_forgets_no_spending_and_invents_little(tmp_path: Path, seed: int, calls: int) -> None:
    reserved, settled = await spend_and_kill(tmp_path / "budgets.db", seed, calls)
    with closing(BudgetBook(tmp_path / "budgets.db")) as book:
        (claim,) = book.claims()
    at_once = CALLS_AT_ONCE * MOST
    slack = max(int(picodollars(BUDGET) * SLACK_SHARE), 2 * at_once)
    # One more step may have happened after the last line that was read.
    assert settled + reserved <= claim.amount <= settled + at_once + at_once + slack
