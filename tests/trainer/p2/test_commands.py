"""P2 from the command line, the short way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

from services.trainer.commands import app
from tests.trainer.p2.small_log import rating_log, write_lake


def test_the_quick_way_compares_heads_on_any_lake(tmp_path: Path) -> None:
    log = rating_log(800)
    write_lake(replace(log, seconds=log.seconds * 40), tmp_path)
    answer = CliRunner().invoke(app, ["p2", "heads", "--data-dir", str(tmp_path), "--quick", "--seeds", "1"])
    assert answer.exit_code == 0, answer.output
    assert all(head in answer.output for head in ("like", "love", "return"))


def test_an_unknown_scorer_is_refused_with_those_there_are() -> None:
    answer = CliRunner().invoke(app, ["p2", "ablation", "--scorer", "oracle"])
    assert answer.exit_code == 2
    assert "lambdamart" in answer.output
