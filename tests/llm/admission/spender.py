"""A gateway that spends until it is killed: python -m tests.llm.admission.spender FILE SEED

Prints what was handed out and settled, in picodollars, before and after every call.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from services.llm.admission.budgets import Budgets
from services.llm.admission.prices import picodollars
from tests.llm.admission.builders import key_of

BUDGET = 1000.0
CALLS_AT_ONCE = 8
MOST = picodollars(0.5)


async def main(path: Path, seed: int) -> None:
    key, dice, sums = key_of(budget_usd=BUDGET, budget_period="none"), random.Random(seed), [0, 0]

    async def call(budgets: Budgets) -> None:
        worst = dice.randrange(MOST)
        with await budgets.reserve(key, worst) as reservation:
            sums[0] += worst
            print(sums[0], sums[1], flush=True)
            await asyncio.sleep(0)
            cost = dice.randrange(worst + 1)
            reservation.settle(cost)
            sums[0] -= worst
            sums[1] += cost

    async def calls(budgets: Budgets) -> None:
        while True:
            await call(budgets)

    async with Budgets.open(path, [key]) as budgets:
        await asyncio.gather(*(calls(budgets) for _ in range(CALLS_AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
