"""What the demo shows of data it has never seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.demo import last_seen, sample_user
from services.trainer.data.tabular.importer import import_files
from services.trainer.data.tabular.request import ImportRequest
from tests.trainer.tabular.shop import NOW, write_csv


@pytest.mark.parametrize(("busy", "quiet", "shown"), [("ann", "bob", "ann"), ("ann", "42", "42")])
def test_user_42_is_shown_where_there_is_one_and_else_whoever_did_most(
    tmp_path: Path, busy: str, quiet: str, shown: str
) -> None:
    rows = [(busy, "x", 1), (busy, "y", 2), (quiet, "x", 3), (busy, "z", 4)]
    import_files(ImportRequest(write_csv(tmp_path / "log.csv", ("user", "item", "time"), rows)), tmp_path, NOW)
    assert sample_user(tmp_path / "lake") == shown
    assert last_seen(tmp_path / "lake", busy) == [("z", ""), ("y", ""), ("x", "")]
