"""report.md with its pictures, from whatever is done."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from loadtests.simulation.freshness import Freshness
from loadtests.simulation.plots import draw
from loadtests.simulation.settings import Simulation
from loadtests.simulation.statistics import Results
from loadtests.simulation.tables import freshness_table, tables
from loadtests.simulation.world import World

HEAD = """# The closed loop, simulated

{users} users of {dataset} with a known taste, {rounds} rounds of one page of ten, {seeds} seeds. The system saw each
user's first 20 ratings, then only its own impressions, clicks and likes; taste is fitted on the ratings it never saw.
The same users meet the same luck in every arm.

P(select | examined) = {scale:.3f} · sigmoid({taste:.2f} ⟨p, q⟩ + {popularity:.2f} log popularity {level:+.2f});
P(satisfied) is that of a rating of 4 or more, {satisfied:.2f} on average. {drift}
"""


def write_report(plan: Simulation, world: World) -> Path:
    """Writes the report beside the results of the plan; returns its path."""
    results = Results.read(plan)
    plan.results.mkdir(parents=True, exist_ok=True)
    taste, popularity, level, scale = world.selection
    head = HEAD.format(
        users=plan.users, dataset=plan.dataset, rounds=plan.rounds, seeds=plan.seeds,
        scale=scale, taste=taste, popularity=popularity, level=level,
        satisfied=float(np.mean(world.satisfied(world.people(0, plan.users)))),
        drift=f"Taste turns by {plan.drift:g} radians a round." if plan.drift else "Taste stays as it is.",
    )  # fmt: skip
    pictures = [f"![{path.stem}]({path.name})\n" for path in draw(results, plan.results)]
    told = [*tables(results), *freshness_table(Freshness.read(plan.freshness_file))]
    path = plan.results / "report.md"
    path.write_text("\n".join([head, *pictures, *(table.markdown() for table in told)]))
    return path
