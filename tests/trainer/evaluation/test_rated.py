"""P2 inside an evaluation: left out, with its reason, where the data cannot tell, and put together over seeds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from services.trainer.data.tabular.importer import import_files
from services.trainer.data.tabular.request import ImportRequest
from services.trainer.evaluation.rated import rate, rated
from services.trainer.progress import Steps
from tests.trainer.tabular.shop import NOW, write_csv


@pytest.mark.parametrize(
    ("has_ratings", "seconds", "says"),
    [
        (False, 1000, "there are 0"),
        (True, 1, "too many events are of one second"),
        (True, 1000, "needs 20 with 10 of them"),
    ],
)
def test_p2_says_why_it_is_left_out(tmp_path: Path, has_ratings: bool, seconds: int, says: str) -> None:
    rows = [
        (f"u{n % 50}", f"i{n // 50}", 1_700_000_000 + n % seconds, 1 + n % 5 if has_ratings else "")
        for n in range(1000)
    ]
    log = write_csv(tmp_path / "log.csv", ("user", "item", "time", "rating"), rows)
    import_files(ImportRequest(log), tmp_path / "data", NOW)
    console = Console(record=True, file=io.StringIO(), width=200)
    assert rate(tmp_path / "data", 0, Steps(console), quick=False) is None
    assert says in console.export_text()


def kept(auc: float, seconds: float, reliability: Any = None) -> dict[str, Any]:
    """One seed of one scorer, as a folder keeps it."""
    metrics = {"auc": [auc, auc - 0.1, auc + 0.2], "gauc": [auc, auc - 0.1, auc + 0.1]}
    scorer = {"fit_seconds": seconds, "metrics": metrics, "reliability": reliability}
    told: dict[str, Any] = json.loads(json.dumps({"revision": "abc", "scorers": {"dlrm": scorer}}))
    return told


def test_seeds_are_averaged_value_by_value_and_end_by_end() -> None:
    diagram = [[0.25, None], [0.5, None], [8, 0]]
    (found,) = rated({0: kept(0.6, 2.0, diagram), 1: kept(0.7, 4.0)})
    assert list(found.metrics["auc"]) == pytest.approx([0.65, 0.55, 0.85])
    assert (found.name, found.seeds, found.fit_seconds, found.revisions) == ("dlrm", [0, 1], 3.0, ["abc"])
    assert found.reliability is not None
    assert found.reliability.events.tolist() == [8, 0]
    assert found.reliability.predicted.tolist()[0] == 0.25
