"""What every number of an evaluation stands beside: the data, the code, the machine and the command."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.trainer.data.lake import Snapshot
from services.trainer.evaluation.options import Options
from services.trainer.pipeline import Plan

SAMPLE = 1000
"""Users of a quick evaluation."""


@dataclass(frozen=True, slots=True)
class About:
    """Written when an evaluation begins, and checked when it goes on."""

    dataset: str
    data_snapshot: str
    """SHA-256 of what was imported."""
    users: int
    items: int
    events: int
    quick: bool
    first_seed: int
    epochs: int
    """Passes of the towers' first fit."""
    command: str
    cores: int
    machine: str
    begun: str
    """ISO 8601, UTC."""
    timed: bool = True
    """Whether ours was told when a user is asked for."""

    @classmethod
    def of(cls, snapshot: Snapshot, options: Options, plan: Plan) -> About:
        """On this machine, now."""
        return cls(
            dataset=snapshot.dataset,
            data_snapshot=snapshot.content_hash,
            users=snapshot.users,
            items=snapshot.items,
            events=snapshot.events,
            quick=options.quick,
            first_seed=plan.seed,
            epochs=plan.retrieval.fit.epochs,
            command=command(options, plan),
            cores=len(os.sched_getaffinity(0)),
            machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            begun=datetime.now(UTC).isoformat(timespec="seconds"),
            timed=options.timed,
        )

    def is_of(self, other: About) -> bool:
        """Whether results of the two may stand in one table."""
        mine, theirs = (
            (one.data_snapshot, one.users, one.items, one.events, one.quick, one.first_seed, one.epochs, one.timed)
            for one in (self, other)
        )
        return mine == theirs


def command(options: Options, plan: Plan) -> str:
    """What to type for the same results."""
    size = "--quick" if options.quick else f"--seeds {options.seeds} --epochs {plan.retrieval.fit.epochs}"
    start = f" --seed {plan.seed}" if plan.seed else ""
    telling = "" if options.timed else " --untimed"
    return f"python -m services.trainer evaluate {size} --protocol {options.protocol}{telling}{start}"


def revision() -> str:
    """The commit of the working tree, with "-dirty" when files differ from it; "unknown" outside a clone."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=False, cwd=Path(__file__).parent,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"
