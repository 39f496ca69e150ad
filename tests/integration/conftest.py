"""One trained world for all tests of the whole stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.world import trained_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a trained world."""
    data_dir = tmp_path_factory.mktemp("world")
    trained_world(data_dir)
    return data_dir
