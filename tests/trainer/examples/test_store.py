"""Datasets are named by their content, kept whole, and never changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artifact import DamagedArtifact
from services.runtime.errors import NotFound
from services.trainer.examples.examples import Examples
from services.trainer.examples.store import ROWS_FILE, DatasetStore

COLUMNS = ("score", "item")


def some(seed: int = 0) -> Examples:
    random = np.random.default_rng(seed)
    features = random.normal(size=(5, 2)).astype(np.float32)
    features[1, 0] = np.nan
    return Examples(
        columns=COLUMNS,
        features=features,
        labels=np.array([0, 1, 0, 2, 0], np.float32),
        user_ids=np.array([2**63 + 1] * 3 + [4] * 2, np.uint64),
        item_ids=np.arange(5, dtype=np.uint64),
        times_us=np.array([10] * 3 + [20] * 2, np.int64),
        positions=np.array([1, 2, 3, 1, 2], np.int64),
        propensities=np.array([1, 1, 0.05, 1, 1], np.float32),
        slots=np.array(["ranked", "ranked", "explore", "ranked", "fresh"]),
        arms=np.array(["champion"] * 3 + ["none"] * 2),
        group_sizes=np.array([3, 2], np.int64),
        recommendation_ids=np.array(["a", "b"]),
    )


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    store, examples = DatasetStore(tmp_path), some()
    version = store.save(examples)
    assert version == examples.content_hash
    again = store.load(version)
    assert again.content_hash == version
    np.testing.assert_array_equal(again.features, examples.features)
    assert [again.labels.dtype.name, again.user_ids.dtype.name] == ["float32", "uint64"]


def test_examples_without_rows_survive_too(tmp_path: Path) -> None:
    nothing = some().of_slates(np.zeros(2, bool))
    assert len(DatasetStore(tmp_path).load(DatasetStore(tmp_path).save(nothing))) == 0


def test_any_change_is_another_version_and_the_same_content_is_the_same(tmp_path: Path) -> None:
    store, examples = DatasetStore(tmp_path), some()
    changed = [
        replace(examples, labels=examples.labels + 1),
        replace(examples, columns=("item", "score")),
        replace(examples, slots=np.array(["ranked"] * 5)),
        replace(examples, recommendation_ids=np.array(["a", "c"])),
    ]
    versions = {store.save(each) for each in (examples, *changed)}
    assert len(versions) == 5
    assert store.save(some()) in versions
    assert len(store.versions()) == 5


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    store = DatasetStore(tmp_path)
    first, second = store.save(some(0)), store.save(some(1))
    (tmp_path / first / ROWS_FILE).write_bytes(b"")
    with pytest.raises(DamagedArtifact, match=ROWS_FILE.replace(".", r"\.")):
        store.load(first)
    (tmp_path / second).rename(tmp_path / "renamed")
    with pytest.raises(DamagedArtifact, match="named after"):
        store.load("renamed")


def test_an_unknown_version_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no dataset abc"):
        DatasetStore(tmp_path).load("abc")


def test_the_newest_datasets_are_kept(tmp_path: Path) -> None:
    store = DatasetStore(tmp_path)
    versions = [store.save(some(seed)) for seed in range(4)]
    store.prune(2)
    assert store.versions() == versions[:1:-1]
    assert len(store.load(versions[3])) == 5
