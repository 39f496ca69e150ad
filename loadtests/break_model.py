"""python -m loadtests.break_model: four bad models try to become champion.

Each is made from the champion that serves: upside down, weights that are no numbers, twenty times as slow, a stale
tower with a new index. The gate must refuse every one. With --past-the-gate they are let into a rollout on the running
stack all the same, under simulated visitors: a guardrail must end it, and nobody may be left without an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from loadtests.broken_models import Forge, inverted, nan_weights, slow, stale_tower
from loadtests.champion_slates import SLATE, Champions
from loadtests.guardrail_drill import Outcome, drill, show_outcomes
from services.retrieval.loading import MODEL_NAMES
from services.runtime.errors import CascadeError
from services.runtime.registry import Registry
from services.trainer.examples.examples import Examples
from services.trainer.gate import GateConfig, Verdict, judge_ranker, judge_retrieval, show
from services.trainer.progress import Steps


@dataclass(frozen=True, slots=True)
class Bad:
    """A way to break a model."""

    model: str
    """Registered name of what is broken."""
    forge: Forge


BAD: Mapping[str, Bad] = {
    "inverted": Bad("ranker", inverted),
    "nan-weights": Bad("ranker", nan_weights),
    "slow": Bad("ranker", slow),
    "stale-tower": Bad("two_tower", stale_tower),
}


def judged(champions: Champions, held_out: Examples, bad: Bad, folder: Path) -> Verdict:
    """What the gate says of a broken model among otherwise unchanged ones."""
    if bad.model == "ranker":
        # Nobody was shown these slates, so no place of them was looked at more than another.
        return judge_ranker(champions.folders["ranker"], folder, held_out, GateConfig(), examination=np.ones(SLATE))
    served = {name: champions.folders[name] for name in MODEL_NAMES}
    return judge_retrieval(served, {**served, bad.model: folder}, champions.items, champions.moments, GateConfig())


def show_verdicts(console: Console, verdicts: Mapping[str, Verdict]) -> None:
    """One line a model with the first of its reasons; --details tells all."""
    table = Table(title="At the gate", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("seconds", justify="right")
    table.add_column("first reason")
    for name, verdict in verdicts.items():
        outcome = "[red]passed" if verdict.passed else "[green]refused"
        table.add_row(name, outcome, f"{verdict.seconds:.1f}", *verdict.reasons[:1])
    console.print(table)


def run(chosen: argparse.Namespace, steps: Steps) -> bool:
    """True when every model was stopped."""
    registry = Registry.open(chosen.data_dir, chosen.registry_url, create=False)
    with steps.step("champions and what they would show") as advance:
        champions = Champions.of(registry, chosen.data_dir / "lake", seed=0)
        held_out = champions.slates(advance)
    with tempfile.TemporaryDirectory(prefix="cascade-broken-") as scratch:
        folders, verdicts = {}, {}
        for name in chosen.only or BAD:
            bad = BAD[name]
            with steps.step(f"{name}: made and judged"):
                folders[name] = bad.forge(champions.folders[bad.model], Path(scratch) / name)
                verdicts[name] = judged(champions, held_out, bad, folders[name])
            if chosen.details:
                show(steps.console, verdicts[name])
        show_verdicts(steps.console, verdicts)
        stopped = not any(verdict.passed for verdict in verdicts.values())
        if not chosen.past_the_gate:
            return stopped
        outcomes: dict[str, Outcome] = {}
        for name, folder in folders.items():
            with steps.step(f"{name}: past the gate, into a rollout"):
                versions = published(registry, champions, BAD[name].model, folder)
                outcomes[name] = asyncio.run(drill(chosen.url, chosen.data_dir, registry, versions, chosen.rate))
        show_outcomes(steps.console, outcomes)
        return stopped and all(outcome.well for outcome in outcomes.values())


def published(registry: Registry, champions: Champions, model: str, folder: Path) -> dict[str, str]:
    """Versions of a release that the gate never saw; retrieval models come together."""
    names = MODEL_NAMES if model in MODEL_NAMES else (model,)
    tags = {"gate": "not asked: let through by loadtests.break_model"}
    return {
        name: registry.publish(name, folder if name == model else champions.folders[name], tags=tags) for name in names
    }


def main() -> None:
    """Exits with 1 when a bad model was not stopped, or not without a failed answer."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    arguments.add_argument("--registry-url", default=os.environ.get("CASCADE_REGISTRY_URL", ""), help="MLflow server")
    arguments.add_argument("--url", default="http://127.0.0.1:8000", help="gateway of the running stack")
    arguments.add_argument("--only", nargs="+", choices=BAD, help="these models; by default all")
    arguments.add_argument("--details", action="store_true", help="every check of the gate")
    arguments.add_argument("--past-the-gate", action="store_true", help="and then into a rollout on the running stack")
    arguments.add_argument("--rate", type=float, default=10.0, help="visitors a second during the rollout")
    steps = Steps(Console())
    try:
        well = run(arguments.parse_args(), steps)
    except CascadeError as error:
        print(f"break_model: {error.sentence}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
