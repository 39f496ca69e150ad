"""A retriever over fitted models and a real index, and a registry that has them as champions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.items import ItemTable
from services.retrieval.retriever import Retriever
from services.runtime.registry import CHAMPION, Registry
from tests.retrieval.artifacts import MODELS, write_artifacts
from tests.retrieval.tiny_models import built_index, catalog, fitted


@pytest.fixture(scope="session")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    """A retriever over the whole catalog; it has no state, so all tests share it."""
    models = fitted()
    index = built_index(models, tmp_path_factory.mktemp("index") / "shard")
    yield Retriever(models, index, ItemTable(catalog()))
    index.close()


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the three sealed artifacts; read only."""
    return write_artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="session")
def published(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose registry has version 1 of each as champion; read only."""
    data_dir = tmp_path_factory.mktemp("published")
    registry = Registry.open(data_dir)
    for name in MODELS:
        registry.publish(name, artifacts / name, CHAMPION)
    return data_dir


@pytest.fixture
def data_dir(published: Path, tmp_path: Path) -> Path:
    """A copy of it to publish into: making a registry anew takes seconds."""
    return Path(shutil.copytree(published, tmp_path / "data"))
