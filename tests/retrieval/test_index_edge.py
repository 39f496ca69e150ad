"""Qdrant's engine in process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.retrieval.index import VectorIndex, open_index
from services.retrieval.index.edge import EdgeIndex
from services.runtime.errors import SettingsError
from tests.contracts.vector_index import DIMENSION, VectorIndexContract, unit_vectors


class TestEdgeIndex(VectorIndexContract):
    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[VectorIndex]:
        index = open_index(f"edge://{tmp_path / 'shard'}", DIMENSION)
        yield index
        index.close()


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A closed shard of 2000 points with a built graph."""
    folder = tmp_path / "sealed"
    index = EdgeIndex.create(folder, DIMENSION)
    index.upsert(np.arange(1, 2001, dtype=np.uint64), unit_vectors(2000), [["Comedy"]] * 2000)
    index.optimize()
    index.close()
    return folder


def test_a_closed_index_opens_again_with_its_points(shard: Path) -> None:
    index = open_index(f"edge://{shard}")
    assert index.count() == 2000
    index.close()


def test_a_second_process_can_open_the_same_folder(shard: Path) -> None:
    index = EdgeIndex.open(shard)
    program = f"from services.retrieval.index import open_index; print(open_index('edge://{shard}').count())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert other.stdout.strip() == "2000", other.stderr
    index.close()


def test_the_built_graph_finds_what_exact_search_finds(shard: Path) -> None:
    index, vectors = EdgeIndex.open(shard), unit_vectors(2000)
    found = 0
    for query in unit_vectors(50, seed=9):
        exact = np.argpartition(-(vectors @ query), 100)[:100] + 1
        found += np.intersect1d(index.search(query, 100).ids, exact.astype(np.uint64)).size
    assert found / 5000 > 0.97
    index.close()


def test_a_private_copy_leaves_the_sealed_shard_alone_and_goes_with_the_index(shard: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in shard.rglob("*") if path.is_file()}
    index = EdgeIndex.open_copy(shard, tmp_path / "scratch")
    index.upsert(np.array([5000], np.uint64), unit_vectors(1), [[]])
    assert index.count() == 2001
    index.close()
    assert {path: path.read_bytes() for path in shard.rglob("*") if path.is_file()} == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_copy_of_a_killed_process_is_swept_up_by_the_next_and_that_of_a_living_one_is_not(
    shard: Path, tmp_path: Path
) -> None:
    program = f"""
import os, signal
from pathlib import Path
from services.retrieval.index.edge import EdgeIndex
index = EdgeIndex.open_copy(Path({str(shard)!r}), Path({str(tmp_path / "scratch")!r}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "scratch").glob("copy-*.lock")
    first = EdgeIndex.open_copy(shard, tmp_path / "scratch")
    assert not left.exists()
    second = EdgeIndex.open_copy(shard, tmp_path / "scratch")
    assert first.count() == second.count() == 2000
    for index in (first, second):
        index.close()


def test_a_folder_that_holds_no_shard_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "edge_config.json").write_text("not JSON")
    for folder in (tmp_path / "junk", tmp_path / "missing"):
        with pytest.raises(SettingsError, match="Train again"):
            EdgeIndex.open_copy(folder, tmp_path / "scratch")
    assert not any((tmp_path / "scratch").iterdir())


@pytest.mark.parametrize(
    "url", ["edge://", "qdrant://host", "qdrant://host:1", "milvus://host:1/x", "qdrant://h:x/c", ""]
)
def test_a_url_of_another_form_is_refused_with_the_forms(url: str) -> None:
    with pytest.raises(SettingsError, match="edge:///path"):
        open_index(url)
