"""The command line of an import."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.runtime.errors import SettingsError
from services.trainer.commands import app
from services.trainer.data.lake import read_snapshot
from services.trainer.import_command import told_attributes
from tests.trainer.tabular.shop import HEADER, walks, write_csv


def test_a_file_is_imported_and_what_was_guessed_is_told(tmp_path: Path) -> None:
    log = write_csv(tmp_path / "Shop log.csv", HEADER, walks(20, 12))
    items = write_csv(tmp_path / "items.csv", ("code", "label"), [("SKU/0001é", "A [red] scarf")])
    told = ["--items", str(items), "--item", "sku", "--column", "items.item=code", "--column", "items.title=label"]
    done = CliRunner().invoke(app, ["import", str(log), *told, "--data-dir", str(tmp_path / "data")])
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.replace("│", " ").splitlines()]
    assert ["Shop", "log.csv", "user", "customer_id", "guessed"] in lines
    assert ["Shop", "log.csv", "item", "sku", "told"] in lines
    assert ["Shop", "log.csv", "time", "created_at", "guessed", "iso"] in lines
    assert ["items.csv", "title", "label", "told"] in lines
    assert read_snapshot(tmp_path / "data" / "lake").dataset == "shop-log"


def test_roles_of_files_are_told_with_their_file() -> None:
    assert told_attributes(["items.title=name", "users.region=a=b"]) == {
        "items": {"title": "name"}, "users": {"region": "a=b"},
    }  # fmt: skip


@pytest.mark.parametrize("written", ["title=name", "items.colour=name", "items.title", "items.title=", "users.title=x"])
def test_a_role_that_is_none_is_refused_with_those_there_are(written: str) -> None:
    with pytest.raises(SettingsError, match=r"items\.genres.*users\.region"):
        told_attributes([written])
