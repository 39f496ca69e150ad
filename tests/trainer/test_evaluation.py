"""What an evaluation leaves out, and says so, where the data cannot tell."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from services.trainer.data.tabular.importer import import_files
from services.trainer.data.tabular.request import ImportRequest
from services.trainer.evaluation import p2
from services.trainer.peers import EASE_ITEMS, PEERS, peers_of
from services.trainer.pipeline import Plan
from services.trainer.progress import Steps
from tests.trainer.small_interactions import ring
from tests.trainer.tabular.shop import NOW, write_csv


@pytest.mark.parametrize(
    ("rated", "seconds", "says"),
    [
        (False, 1000, "there are 0"),
        (True, 1, "too many events are of one second"),
        (True, 1000, "needs 20 with 10 of them"),
    ],
)
def test_p2_says_why_it_is_left_out(tmp_path: Path, rated: bool, seconds: int, says: str) -> None:
    rows = [(f"u{n % 50}", f"i{n // 50}", 1_700_000_000 + n % seconds, 1 + n % 5 if rated else "") for n in range(1000)]
    log = write_csv(tmp_path / "log.csv", ("user", "item", "time", "rating"), rows)
    import_files(ImportRequest(log), tmp_path / "data", NOW)
    console = Console(record=True, file=io.StringIO(), width=200)
    assert p2(Plan(tmp_path / "data"), Steps(console)) == {}
    assert says in console.export_text()


def test_ease_is_left_out_of_a_catalog_whose_square_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    interactions = ring(8)
    assert peers_of(interactions) == list(PEERS)
    monkeypatch.setattr("services.trainer.peers.EASE_ITEMS", interactions.items.height - 1)
    assert peers_of(interactions) == [name for name in PEERS if name != "ease"]
    assert EASE_ITEMS >= 3883
