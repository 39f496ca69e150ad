"""The item index of a tower: built in a child process, measured, then put in place at once.

    report = build_index(ids, vectors, genres, artifact / "index")
    report.recall_at_100                       # of the index as served, against exact search

Building holds the interpreter's lock for as long as it takes and leaves its memory behind, hence the child.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.artifact import writing
from services.retrieval.index.edge import EdgeIndex

BUILD_SECONDS = 3600.0
"""A build that takes longer is given up; a million points take minutes."""
RECALL_QUERIES = 200


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What was built, and how near it comes to exact search."""

    points: int
    seconds: float
    """Wall time of the build in the child process."""
    queries: int
    """Searches behind the recalls."""
    recall_at_100: float
    """Share of the exact 100 nearest that the index finds, with the breadth it is served with."""
    recall_at_500: float


def build_index(
    item_ids: NDArray[np.uint64],
    item_vectors: NDArray[np.float32],
    genres: Sequence[tuple[str, ...]],
    folder: Path,
    queries: NDArray[np.float32] | None = None,
) -> IndexReport:
    """Builds the shard of (N,) ids with (N, D) vectors and N lists of genres in `folder`, whole or not at all.

    Recall is measured on (Q, D) `queries`, user vectors where the caller has some; by default blends of items.
    FileExistsError when the folder is there already, RuntimeError when the child fails.
    """
    with writing(folder) as draft, tempfile.TemporaryDirectory() as scratch:
        np.savez(Path(scratch) / "points.npz", ids=item_ids, vectors=item_vectors)
        (Path(scratch) / "genres.json").write_text(json.dumps(list(map(list, genres))))
        begun = time.monotonic()
        _in_child(Path(scratch), draft)
        seconds = time.monotonic() - begun
        if queries is None:
            queries = _blends(item_vectors)
        index = EdgeIndex.open(draft)
        try:
            recalls = [_recall(index, item_ids, item_vectors, queries, k) for k in (100, 500)]
        finally:
            index.close()
    return IndexReport(item_ids.size, seconds, len(queries), *recalls)


def _in_child(scratch: Path, draft: Path) -> None:
    command = [sys.executable, "-m", "services.trainer.index", str(scratch), str(draft)]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=True)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"The item index was not built within {BUILD_SECONDS:.0f} s.") from error
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        raise RuntimeError(f"The process that builds the item index failed: {reason}") from error


def _build(scratch: Path, draft: Path) -> None:
    with np.load(scratch / "points.npz", allow_pickle=False) as points:
        ids, vectors = points["ids"], points["vectors"]
    index = EdgeIndex.create(draft, vectors.shape[1])
    index.upsert(ids, vectors, json.loads((scratch / "genres.json").read_text()))
    index.optimize()
    index.close()


def _blends(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(Q, D) normalised sums of three random items each: like users, near some items and on none of them."""
    picks = np.random.default_rng(0).integers(len(vectors), size=(RECALL_QUERIES, 3))
    sums = vectors[picks].sum(axis=1)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9), np.float32)


def _recall(
    index: EdgeIndex,
    ids: NDArray[np.uint64],
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
) -> float:
    k = min(k, ids.size)
    found = 0
    for query in queries:
        exact = np.argpartition(-(vectors @ query), k - 1)[:k]
        found += np.intersect1d(index.search(query, k).ids, ids[exact]).size
    return found / (k * len(queries))


if __name__ == "__main__":
    _build(Path(sys.argv[1]), Path(sys.argv[2]))
