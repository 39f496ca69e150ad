"""Worlds to run on: built once, copied for every test that changes one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.trainer.runs import world


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world that nobody may change."""
    folder = tmp_path_factory.mktemp("clicked")
    world.build(folder)
    return folder


@pytest.fixture
def data_dir(built: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(built, tmp_path / "data")
