from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifact import DamagedArtifact, read_manifest, verify
from models.covisitation import CoVisitation
from models.ease import Ease
from models.popularity import Popularity
from models.two_tower import TwoTowerConfig
from models.user import UserState
from models.user_tower import UserTower
from services.trainer.compute import Compute
from services.trainer.data.interactions import Interactions
from services.trainer.retrieval_models import RetrievalFitConfig, fit_retrieval, tower_data
from services.trainer.tower_fit import TowerFitConfig, fit_tower
from tests.trainer.small_interactions import ITEMS, ring, ring_tables

LINEAGE = {"data_snapshot": "abc"}
CONFIG = RetrievalFitConfig(
    towers=TwoTowerConfig(width=32),
    fit=TowerFitConfig(epochs=25, refit_epochs=1, batch_windows=16, negatives=32, warm_up=10, patience=25, threads=1),
)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    fit_retrieval(ring().leave_last(1), folder, lineage=LINEAGE, config=CONFIG)
    return folder


def hit_rate(folder: Path, data: Interactions, k: int) -> float:
    tower = UserTower.load(folder / "two_tower")
    targets = list(data.targets(1))
    vectors = tower.encode_batch([data.state_before(user, 1) for user, _, _ in targets])[:, 0]
    best = np.argsort(-(vectors @ tower.item_vectors.T), axis=1)[:, :k]
    return float(np.mean([item in tower.item_ids[row] for row, (_, item, _) in zip(best, targets, strict=True)]))


def test_the_next_item_of_a_planted_order_is_found(fitted: Path) -> None:
    assert hit_rate(fitted, ring(), k=3) > 0.8  # chance: 3 / 60


def test_sealed_artifacts_say_what_made_them(fitted: Path) -> None:
    for name in ("two_tower", "co_visitation", "ease", "popularity"):
        manifest = verify(fitted / name)
        assert manifest.name == manifest.kind == name
        assert manifest.lineage == {"data_snapshot": "abc", "seed": "0"}
    assert read_manifest(fitted / "two_tower").metrics["held_out_hr@10"] > 0.8
    assert CoVisitation.load(fitted / "co_visitation").item_ids.size == ITEMS
    assert Ease.load(fitted / "ease").item_ids.size == ITEMS
    assert Popularity.load(fitted / "popularity").item_ids.size == ITEMS


def test_strangers_without_history_get_a_vector(fitted: Path) -> None:
    vector = UserTower.load(fitted / "two_tower").encode(UserState(10**9, {"gender": "F"}))
    assert np.isclose(np.linalg.norm(vector), 1.0, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_seed_gives_one_model_on_any_number_of_threads(threads: int) -> None:
    data, cpu = tower_data(ring(400)), Compute.detect("cpu")
    config = replace(CONFIG.fit, epochs=2, batch_windows=128, negatives=1024, threads=threads)
    first, second = (fit_tower(data, CONFIG.towers, config, seed=3, compute=cpu)[0].items.ids for _ in range(2))
    assert torch.equal(first, second)


def test_a_refit_starts_from_the_earlier_weights_of_what_still_exists(fitted: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, fit=replace(CONFIG.fit, refit_rate=1e-9))
    moved = ring(users=250, first_item=11)
    fit_retrieval(moved, tmp_path, lineage={}, config=config, warm_start=fitted / "two_tower")
    earlier, later = UserTower.load(fitted / "two_tower"), UserTower.load(tmp_path / "two_tower")
    shared = np.intersect1d(earlier.item_ids, later.item_ids)
    assert shared.size == ITEMS - 10
    state = UserState(5, {"gender": "F"}, shared[:7])
    # The content of the shared items moved with the ring, so vectors are near, not equal.
    assert float(earlier.encode(state)[0] @ later.encode(state)[0]) > 0.8
    parent = read_manifest(fitted / "two_tower").files["weights.safetensors"]
    assert read_manifest(tmp_path / "two_tower").lineage["parents"] == f"two_tower {parent}"


def test_a_refit_after_one_pass_is_as_good_as_the_first_fit(fitted: Path, tmp_path: Path) -> None:
    fit_retrieval(ring().leave_last(1), tmp_path, lineage={}, config=CONFIG, warm_start=fitted / "two_tower")
    assert hit_rate(tmp_path, ring(), k=3) > 0.8


def test_a_start_of_another_shape_is_refused(fitted: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, towers=TwoTowerConfig(width=16))
    with pytest.raises(DamagedArtifact, match="cannot be the start"):
        fit_retrieval(ring(30), tmp_path, lineage={}, config=config, warm_start=fitted / "two_tower")
    assert not (tmp_path / "two_tower").exists()


def test_progress_reaches_what_was_planned() -> None:
    seen: list[tuple[int, int]] = []
    fit_tower(
        tower_data(ring(60)),
        CONFIG.towers,
        replace(CONFIG.fit, epochs=2),
        seed=0,
        progress=lambda done, planned: seen.append((done, planned)),
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]


def test_fitting_stops_when_the_held_out_events_no_longer_gain() -> None:
    seen: list[int] = []
    config = replace(CONFIG.fit, epochs=50, patience=1, learning_rate=0.0, weight_decay=0.0)
    fit_tower(
        tower_data(ring(60)), CONFIG.towers, config, seed=0, progress=lambda done, planned: seen.append(planned // done)
    )
    assert seen[-1] >= 10  # a tenth of the planned steps at most


def test_no_events_are_refused_with_a_sentence(tmp_path: Path) -> None:
    users, items, events = ring_tables(20)
    nobody = Interactions.of(users, items, events.clear())
    with pytest.raises(ValueError, match="no events"):
        fit_retrieval(nobody, tmp_path, lineage={})
