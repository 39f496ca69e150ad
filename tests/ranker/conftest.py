"""Tiny rankers, fitted once, in registries of their own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.dlrm import DlrmConfig
from models.lambdamart import LambdaMartConfig
from services.runtime.registry import Registry
from services.trainer.ranking import fit_ranker
from services.trainer.ranking_dataset import RankingDataset
from tests.models.small_catalog import catalog, separable_rows, spec


@dataclass(frozen=True)
class Published:
    """A data folder whose registry holds version 1 (lambdamart, champion) and version 2 (dlrm, no alias)."""

    data_dir: Path
    registry: Registry
    drafts: Path


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two fitted rankers in its registry; copy it, do not change it."""
    data_dir = tmp_path_factory.mktemp("fitted")
    items = catalog()
    rows = separable_rows(spec(items), items)
    dataset = RankingDataset(spec(items).with_normalizer(rows.features), rows)
    trees = LambdaMartConfig(trees=20, leaves=7, min_rows_in_leaf=5, threads=1)
    fit_ranker("lambdamart", dataset, data_dir / "drafts" / "trees", config=trees)
    network = DlrmConfig(width=4, bottom=(8,), top=(8,), epochs=1, threads=1)
    fit_ranker("dlrm", dataset, data_dir / "drafts" / "network", config=network)
    registry = Registry.open(data_dir)
    registry.publish("ranker", data_dir / "drafts" / "trees", "champion")
    registry.publish("ranker", data_dir / "drafts" / "network")
    return data_dir


@pytest.fixture
def published(fitted: Path, tmp_path: Path) -> Published:
    data_dir = tmp_path / "data"
    shutil.copytree(fitted, data_dir)
    return Published(data_dir, Registry.open(data_dir), data_dir / "drafts")
