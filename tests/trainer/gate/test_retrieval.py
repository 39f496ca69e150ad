"""A retrieval model, the same in another space, and what becomes of one with halves of both."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest
from scipy.stats import ortho_group

from models.artifact import read_manifest, seal
from models.tower_fingerprint import FINGERPRINT, fingerprint
from models.two_tower import TwoTowerConfig
from models.user_tower import ITEM_VECTORS_FILE, MODEL_FILE
from services.retrieval.loading import INDEX_FOLDER, MODEL_NAMES, load_models
from services.runtime.errors import SettingsError
from services.trainer.catalog import item_table
from services.trainer.gate import Check, GateConfig, Verdict, judge_retrieval
from services.trainer.moment import Moment, moments_before
from services.trainer.pipeline import with_index
from services.trainer.retrieval_models import RetrievalFitConfig, fit_retrieval
from services.trainer.tower_fit import TowerFitConfig
from tests.trainer.small_interactions import ring

FIT = RetrievalFitConfig(
    towers=TwoTowerConfig(width=32, blocks=1),
    fit=TowerFitConfig(epochs=10, batch_windows=16, negatives=32, warm_up=10, patience=25, threads=1),
)
# The ring has 60 items: a list as long as in the config's defaults would hold all of them.
CONFIG = GateConfig(resamples=1000, rounds=6, moments=120, recall_at=5, slowdown=5.0)
Folders = dict[str, Path]


@dataclass(frozen=True, slots=True)
class World:
    champion: Folders
    other: Folders
    """The same model in another space, as every new training has its own."""
    moments: tuple[Moment, ...]

    def judge(self, challenger: Folders, config: GateConfig = CONFIG) -> Verdict:
        known = ring().leave_last(1)
        table = item_table(known.items, known.events_frame())
        return judge_retrieval(self.champion, challenger, table, self.moments, config, seed=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    data, root = ring(), tmp_path_factory.mktemp("retrieval")
    known = data.leave_last(1)
    table = item_table(known.items, known.events_frame())
    fit_retrieval(known, root, lineage={}, config=FIT)
    shutil.copytree(root / "two_tower", root / "turned" / "two_tower")
    turn(root / "turned" / "two_tower")
    for folder in (root, root / "turned"):
        with_index(folder, table)
    champion = {name: root / name for name in MODEL_NAMES}
    moments = tuple(moments_before(data, [1]))
    return World(champion, {**champion, "two_tower": root / "turned" / "two_tower"}, moments)


def turn(folder: Path) -> None:
    """Turns both halves of a tower by one rotation: their dot products stay, their space does not."""
    vectors = np.load(folder / ITEM_VECTORS_FILE)
    rotation = ortho_group.rvs(vectors.shape[1], random_state=0).astype(np.float32)
    np.save(folder / ITEM_VECTORS_FILE, vectors @ rotation)
    model = onnx.load(folder / MODEL_FILE)
    output = model.graph.output[0]
    for node in model.graph.node:
        node.output[:] = ["unturned" if name == output.name else name for name in node.output]
    model.graph.initializer.append(onnx.numpy_helper.from_array(rotation, "rotation"))
    model.graph.node.append(onnx.helper.make_node("MatMul", ["unturned", "rotation"], [output.name]))
    onnx.save(model, folder / MODEL_FILE)
    tie_again(folder)


def tie_again(folder: Path) -> None:
    """Seals a folder as if one export had made what lies in it."""
    manifest = read_manifest(folder)
    seal(folder, replace(manifest, config={**manifest.config, FINGERPRINT: fingerprint(folder)}))


@pytest.fixture
def forged(world: World, tmp_path: Path) -> Callable[[Callable[[Path], object]], Folders]:
    def forge(change: Callable[[Path], object]) -> Folders:
        """The champions with a changed two_tower, sealed again."""
        folder = tmp_path / "two_tower"
        shutil.copytree(world.champion["two_tower"], folder)
        change(folder)
        seal(folder, read_manifest(folder))
        return {**world.champion, "two_tower": folder}

    return forge


def named(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


def test_the_same_models_pass(world: World) -> None:
    verdict = world.judge(world.champion)
    assert verdict.passed, verdict.reasons
    assert named(verdict, "recall_at_5").figures["difference"] == 0


def test_the_same_model_in_another_space_passes(world: World) -> None:
    verdict = world.judge(world.other)
    assert verdict.passed, verdict.reasons
    assert named(verdict, "tower_recall_at_5").figures["difference"] == 0


def test_a_stale_user_tower_over_a_new_index_is_refused(
    world: World, forged: Callable[[Callable[[Path], object]], Folders]
) -> None:
    stale = forged(lambda folder: shutil.copy(world.other["two_tower"] / MODEL_FILE, folder / MODEL_FILE))
    verdict = world.judge(stale)
    assert verdict.reasons == ("tied: stale tower: its user tower and its item vectors are not of one export",)
    with pytest.raises(SettingsError, match="stale tower"):
        load_models(stale)


def test_a_stale_tower_is_refused_for_what_it_finds_even_where_the_fingerprint_was_forged(
    world: World, forged: Callable[[Callable[[Path], object]], Folders]
) -> None:
    def change(folder: Path) -> None:
        shutil.copy(world.other["two_tower"] / MODEL_FILE, folder / MODEL_FILE)
        tie_again(folder)

    verdict = world.judge(forged(change))
    assert named(verdict, "tied").passed
    recall = named(verdict, "tower_recall_at_5")
    assert recall.figures["champion"] > 0.8 > 0.3 > recall.figures["challenger"]
    assert not recall.passed


def test_an_index_of_other_vectors_is_refused(
    world: World, forged: Callable[[Callable[[Path], object]], Folders]
) -> None:
    def change(folder: Path) -> None:
        shutil.rmtree(folder / INDEX_FOLDER)
        shutil.copytree(world.other["two_tower"] / INDEX_FOLDER, folder / INDEX_FOLDER)

    verdict = world.judge(forged(change))
    assert verdict.reasons == ("index_vectors: 60 of 60 items are not found where their vectors are",)


def test_vectors_that_are_no_numbers_are_refused(
    world: World, forged: Callable[[Callable[[Path], object]], Folders]
) -> None:
    def change(folder: Path) -> None:
        vectors = np.load(folder / ITEM_VECTORS_FILE)
        vectors[3] = np.nan
        np.save(folder / ITEM_VECTORS_FILE, vectors)
        tie_again(folder)

    assert "index_vectors: some item vectors are no numbers" in world.judge(forged(change)).reasons


def test_an_artifact_without_an_index_is_refused(
    world: World, forged: Callable[[Callable[[Path], object]], Folders]
) -> None:
    verdict = world.judge(forged(lambda folder: shutil.rmtree(folder / INDEX_FOLDER)))
    assert "holds no vector index" in verdict.reasons[0]


def test_a_tower_that_does_not_say_what_it_was_exported_with_is_refused(
    world: World, forged: Callable[[Callable[[Path], object]], Folders]
) -> None:
    verdict = world.judge(forged(lambda folder: seal(folder, replace(read_manifest(folder), config={}))))
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["tied"]


def test_a_handful_of_moments_decides_nothing(world: World) -> None:
    few = replace(world, moments=world.moments[:5]).judge(world.other)
    assert named(few, "recall_at_5").sentence.startswith("undecided: ")


def test_without_moments_nobody_passes(world: World) -> None:
    assert replace(world, moments=()).judge(world.champion).reasons == (
        "moments: there are no held-out moments to judge on",
    )
