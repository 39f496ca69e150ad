"""The index as built: complete, findable, measured, whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.retrieval.index.edge import EdgeIndex
from services.trainer.index import build_index


def _points(count: int) -> tuple[NDArray[np.uint64], NDArray[np.float32], list[tuple[str, ...]]]:
    draws = np.random.default_rng(0)
    vectors = draws.standard_normal((count, 64), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.asarray(draws.permutation(count) * 3 + 2**60, np.uint64)
    genres: list[tuple[str, ...]] = [("Drama",) if place % 3 else ("Comedy", "Crime") for place in range(count)]
    return ids, vectors, genres


def test_the_built_index_answers_as_exact_search_does(tmp_path: Path) -> None:
    ids, vectors, genres = _points(1500)
    report = build_index(ids, vectors, genres, tmp_path / "index")
    assert (report.points, report.queries) == (1500, 200)
    assert report.recall_at_100 > 0.97
    assert report.recall_at_500 > 0.97
    index = EdgeIndex.open(tmp_path / "index")
    assert index.count() == 1500
    crime = index.search(vectors[0], 10, categories=["Crime"]).ids
    index.close()
    listed = np.flatnonzero([("Crime" in names) for names in genres])
    exact = ids[listed[np.argsort(-(vectors[listed] @ vectors[0]))[:10]]]
    assert crime.tolist() == exact.tolist()


def test_the_recall_reported_is_that_of_the_vectors_given(tmp_path: Path) -> None:
    """Searches by other vectors than those that were indexed still count against exact search of the indexed ones."""
    ids, vectors, genres = _points(300)
    report = build_index(ids, vectors, genres, tmp_path / "index", queries=vectors[:20])
    assert report.queries == 20
    assert report.recall_at_500 == 1.0  # all 300 points are among the nearest 500


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    ids, vectors, genres = _points(30)
    with pytest.raises(RuntimeError, match="failed: ValueError: zip"):
        build_index(ids, vectors, genres[:-1], tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_an_index_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    ids, vectors, genres = _points(30)
    build_index(ids, vectors, genres, tmp_path / "index")
    with pytest.raises(FileExistsError):
        build_index(ids, vectors, genres, tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
