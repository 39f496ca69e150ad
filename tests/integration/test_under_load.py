"""Locust against the whole stack: real visits, real checks, an exit code that means something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from services.local.stack import LocalStack
from tests.integration.world import USERS

ROOT = Path(__file__).parents[2]


def locust(url: str, world: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A few seconds of three impatient users."""
    return subprocess.run(
        [
            sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "locustfile.py"), "--host", url,
            "--headless", "--only-summary", "--shape", "soak", "--target-users", "3", "--soak-seconds", "3",
            "--known-users", str(USERS), "--think-seconds", "0.1", "--trace-share", "0.5", *options,
        ],
        cwd=ROOT, env={**os.environ, "CASCADE_DATA_DIR": str(world), "COLUMNS": "120"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_visits_find_nothing_to_complain_about(stack: LocalStack, world: Path) -> None:
    done = locust(stack.urls["gateway"], world)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("/v1/recommendations", "/v1/events", "/v1/items/{id}/similar", "/v1/requests/{id}/trace"):
        assert f" {name} " in done.stderr
    assert "served by: fresh" in done.stdout
    assert "whole, as the client sees it" in done.stdout


def test_a_breached_threshold_is_exit_code_1(stack: LocalStack, world: Path) -> None:
    done = locust(stack.urls["gateway"], world, "--max-p50-ms", "0.01", "--max-failures", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    breached = [line for line in done.stdout.splitlines() if "breached" in line]
    assert len(breached) == 1
    assert "recommendations p50" in breached[0]
