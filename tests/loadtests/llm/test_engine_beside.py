"""The other engines' process, and what is told of it."""

from __future__ import annotations

import ast
import math
import sys
from pathlib import Path

import pytest

from loadtests.llm import engine_peers
from loadtests.llm.engine_beside import LLAMA, Rates, Task, child
from loadtests.llm.engine_part import Spent
from loadtests.llm.engine_workload import Job
from services.runtime.errors import Unavailable

NOTHING = Task("nothing", [Job((1, 2), 3)], 1)


def test_the_process_of_the_others_imports_nothing_of_the_project() -> None:
    tree = ast.walk(ast.parse(Path(engine_peers.__file__).read_text()))
    names = {node.module or "" for node in tree if isinstance(node, ast.ImportFrom)}
    assert not {name for name in names if name.split(".")[0] in ("services", "models", "loadtests")}


def test_an_engine_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    with child(Path(sys.executable), tmp_path / "none.gguf", [LLAMA]) as others:
        ready, left_out = others.loaded(1)
    assert ready == []
    assert left_out[0].startswith(f"{LLAMA} is left out: ")


def test_a_process_that_cannot_begin_is_told_of_and_not_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    with child(broken, tmp_path / "none.gguf", [LLAMA]) as others:
        with pytest.raises(Unavailable, match="ended"):
            others.loaded(1)
        with pytest.raises(Unavailable, match="ended"):
            others.told(0.1)
        with pytest.raises(Unavailable, match="ended"):
            others.ask(NOTHING, LLAMA)


def test_a_process_that_ends_is_no_answer_to_wait_for(tmp_path: Path) -> None:
    with child(Path(sys.executable), tmp_path / "none.gguf", []) as others, pytest.raises(Unavailable, match="ended"):
        others.ask(NOTHING, "nobody")


def test_ours_by_a_peer_is_paired_by_round() -> None:
    rates = Rates("work")
    for ours, theirs in ((1.0, 2.0), (1.0, 9.0), (4.0, 12.0)):
        rates.add("ours", 12, Spent(ours, ours))
        rates.add(LLAMA, 12, Spent(theirs, theirs))
    assert rates.ratio(LLAMA) == 3
    assert math.isnan(rates.ratio("nobody"))
