"""python -m loadtests.llm.engine: our engine with and without what makes it fast, and beside two others.

One thread, the real SmolLM2, everything in one run; compared things take turns, and ratios are medians over the rounds
of CPU time, as the machine may be shared. Writes .data/bench/llm-engine.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from loadtests.llm import engine_batching, engine_beside, engine_prefix, engine_speculation, engine_speed
from loadtests.llm.engine_drive import Model
from loadtests.llm.engine_part import Part
from loadtests.thresholds import Verdict, verdict_table
from services.llm.engine.loading import SCHEME, SMOLLM2
from services.runtime.errors import CascadeError

TARGET = Path("bench") / "llm-engine.json"
PEERS = Path(".venv-peers") / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    speed_rounds: int
    batching_rounds: int
    prefix_requests: int
    speculation_rounds: int
    speculation_tokens: int
    peer_rounds: int
    peer_requests: int
    half: bool
    """Whether transformers runs in bfloat16 too."""


QUICK = Scale(1, 1, 6, 1, 32, 1, 16, half=False)
FULL = Scale(2, 3, 20, 3, 64, 2, 64, half=True)


PARTS: dict[str, Callable[[Model, Scale, Path], Part]] = {
    "speed": lambda model, scale, _: engine_speed.measure(model, scale.speed_rounds),
    "batching": lambda model, scale, _: engine_batching.measure(model, scale.batching_rounds),
    "prefix": lambda model, scale, _: engine_prefix.measure(model, scale.prefix_requests),
    "speculation": lambda model, scale, _: engine_speculation.measure(
        model, scale.speculation_rounds, scale.speculation_tokens
    ),
    "beside": lambda model, scale, peers: engine_beside.measure(
        model, peers, scale.peer_rounds, scale.peer_requests, half=scale.half
    ),
}
"""By name, in order; the path is that of the others' Python."""


def run(scale: Scale, peers: Path, only: Sequence[str], console: Console) -> dict[str, Part]:
    """The parts that are wanted, each shown when it is done."""
    model = Model(SCHEME + SMOLLM2)
    found: dict[str, Part] = {}
    for name, measure in PARTS.items():
        if name in only:
            console.print(f"  … {name}", style="dim", highlight=False)
            found[name] = measure(model, scale, peers)
            found[name].show(console)
    return found


def written(found: dict[str, Part], data_dir: Path, arguments: Sequence[str], seconds: float) -> Path:
    """The figures as JSON, with what made them."""
    made: dict[str, Any] = {
        "command": " ".join(["python -m loadtests.llm.engine", *arguments]),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds),
        "machine": {
            "cores": os.cpu_count(), "load": os.getloadavg()[0],
            "python": platform.python_version(), "torch": torch.__version__,
        },
    }  # fmt: skip
    target = data_dir / TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(made | {name: part.summary() for name, part in found.items()}, indent=2))
    return target


def main() -> None:
    """Runs the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes instead of eight")
    parser.add_argument("--peers", type=Path, default=PEERS, help="Python with transformers and xllamacpp")
    parser.add_argument("--only", nargs="+", choices=[*PARTS], default=[*PARTS], help="parts to run")
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    chosen = parser.parse_args()
    console, began = Console(), time.perf_counter()
    try:
        found = run(QUICK if chosen.quick else FULL, chosen.peers, chosen.only, console)
    except CascadeError as error:
        sys.exit(error.sentence)
    verdicts: list[Verdict] = [verdict for part in found.values() for verdict in part.verdicts]
    console.print(verdict_table(verdicts))
    target = written(found, chosen.data_dir, sys.argv[1:], time.perf_counter() - began)
    console.print(f"Written to {target}")


if __name__ == "__main__":
    main()
