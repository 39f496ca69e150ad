from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.runtime.registry import CHAMPION
from tests.trainer.rollout.versions import Versions


@pytest.fixture(scope="session")
def first_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: MLflow takes seconds to make a database."""
    folder = tmp_path_factory.mktemp("registry")
    Versions(folder).add_all("first", CHAMPION)
    return folder


@pytest.fixture
def versions(first_versions: Path, tmp_path: Path) -> Versions:
    """Every model has version 1 as its champion."""
    shutil.copytree(first_versions / "data", tmp_path / "data")
    return Versions(tmp_path)
