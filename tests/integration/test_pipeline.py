"""What training leaves behind."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.artifact import verify
from models.ranking import load_ranker
from services.runtime.errors import SettingsError
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.trainer.data.imports import import_data
from services.trainer.data.lake import read_events
from services.trainer.evaluation.champions import known_at_training
from services.trainer.progress import TRAINED


@pytest.fixture(scope="module")
def registry(world: Path) -> Registry:
    return Registry.open(world)


@pytest.mark.parametrize("name", ["two_tower", "co_visitation", "popularity", "ease", "ranker"])
def test_every_model_has_a_champion_that_says_what_made_it(registry: Registry, name: str) -> None:
    champion = registry.resolve(name)
    assert verify(champion.folder) == champion.manifest
    assert set(champion.manifest.lineage) >= {"data_snapshot", "code_revision", "seed", "created_at"}
    scope = "funnel" if name == "ranker" else "retrieval"
    metrics = champion.manifest.metrics
    assert metrics[f"{scope}_hr@10_low"] <= metrics[f"{scope}_hr@10"] <= metrics[f"{scope}_hr@10_high"]


def test_the_second_ranker_is_the_challenger(registry: Registry) -> None:
    assert registry.resolve("ranker", CHAMPION).manifest.kind == "lambdamart"
    assert registry.resolve("ranker", CHALLENGER).manifest.kind == "dlrm"


def test_the_feature_spec_travels_with_its_statistics(registry: Registry) -> None:
    ranker = load_ranker(registry.resolve("ranker", CHALLENGER).folder)
    assert ranker.spec.normalizer is not None
    assert ranker.spec.item_vocabulary.size == 150


def test_tower_and_index_go_together_and_the_recall_was_measured(registry: Registry) -> None:
    tower = registry.resolve("two_tower")
    assert any(name.startswith("index/") for name in tower.manifest.files)
    assert tower.manifest.metrics["index_recall@100"] > 0.95


def test_nothing_half_made_is_left_behind(world: Path) -> None:
    assert not (world / "drafts").exists()
    assert set(json.loads((world / TRAINED).read_text())) == {
        "two_tower", "co_visitation", "popularity", "ease", "lambdamart", "dlrm",
    }  # fmt: skip


def test_what_happened_after_training_does_not_change_the_evaluation(
    registry: Registry, world: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(world / "lake", lake)
    before = known_at_training(registry, lake)
    later = read_events(lake).tail(1).with_columns(
        event_id=pl.lit("later"), item_id=pl.lit(int(before.items["item_id"][0]), pl.UInt64),
        ts=pl.lit(datetime.now(UTC)).dt.cast_time_unit("us"),
    )  # fmt: skip
    later.write_parquet(lake / "events" / "later.parquet")
    after = known_at_training(registry, lake)
    assert read_events(lake).height == read_events(world / "lake").height + 1
    np.testing.assert_array_equal(after.item_ids, before.item_ids)


def test_another_data_set_needs_another_folder(world: Path) -> None:
    with pytest.raises(SettingsError, match="holds synthetic, not ml-100k"):
        import_data("ml-100k", world)


def test_an_unknown_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no data set 'netflix'"):
        import_data("netflix", tmp_path)
