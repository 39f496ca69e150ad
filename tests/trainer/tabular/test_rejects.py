"""Rejected rows: all are counted, some are kept, too many refuse the file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from services.runtime.errors import SettingsError
from services.trainer.data.tabular import rejects as module
from services.trainer.data.tabular.rejects import Rejects

LOG = Path("log.csv")


def _rejects(count: int) -> Rejects:
    rejects = Rejects()
    for line in range(count):
        rejects.add(LOG, line + 2, "the user is missing", f'row "{line}", with a comma')
    return rejects


def test_all_are_counted_and_a_bound_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    rejects = _rejects(10)
    assert (rejects.total, dict(rejects.reasons), len(rejects.kept)) == (10, {"the user is missing": 10}, 3)


def test_the_file_says_where_and_why(tmp_path: Path) -> None:
    path = tmp_path / "imports" / "log.rejects.csv"
    _rejects(2).write(path)
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "line", "reason", "row"],
            ["log.csv", "2", "the user is missing", 'row "0", with a comma'],
            ["log.csv", "3", "the user is missing", 'row "1", with a comma'],
        ]
    Rejects().write(path)
    assert list(path.parent.iterdir()) == []


def test_a_share_too_large_refuses_the_file_and_a_few_never_do(tmp_path: Path) -> None:
    path = tmp_path / "log.rejects.csv"
    _rejects(19).require_few(LOG, 10, 0.05, path)
    _rejects(50).require_few(LOG, 950, 0.05, path)
    assert not path.exists()
    with pytest.raises(
        SettingsError, match=r"51 of 1,000 rows of log\.csv cannot be read, more than 5%.*line 2: the user"
    ):
        _rejects(51).require_few(LOG, 949, 0.05, path)
    assert path.exists()


def test_nothing_but_rejected_rows_and_no_rows_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="3 of 3 rows"):
        _rejects(3).require_few(LOG, 0, 0.05, tmp_path / "rejects.csv")
    with pytest.raises(SettingsError, match=r"log\.csv holds no rows"):
        Rejects().require_few(LOG, 0, 0.05, tmp_path / "rejects.csv")
