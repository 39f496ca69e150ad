"""The bad models are what their names say: whole artifacts that load, and wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from loadtests.broken_models import inverted, nan_weights, slow, stale_tower
from models.artifact import read_manifest, seal, verify
from models.ranking import MODEL_FILE, load_ranker
from models.tower_fingerprint import FINGERPRINT, fingerprint
from services.retrieval.loading import load_models
from services.runtime.errors import SettingsError
from tests.retrieval.artifacts import MODELS, write_artifacts
from tests.trainer.gate.rankers import SPEC, TRUTH, write_ranker

ROWS = np.random.default_rng(0).random((50, len(SPEC.columns)), np.float32)


@pytest.fixture
def champion(tmp_path: Path) -> Path:
    return write_ranker(tmp_path / "champion", TRUTH)


def test_the_inverted_ranker_says_the_opposite(champion: Path, tmp_path: Path) -> None:
    made = inverted(champion, tmp_path / "inverted")
    np.testing.assert_allclose(load_ranker(made).score(ROWS), -load_ranker(champion).score(ROWS))
    assert verify(made)


def test_the_diverged_ranker_gives_no_number(champion: Path, tmp_path: Path) -> None:
    assert np.isnan(load_ranker(nan_weights(champion, tmp_path / "nan")).score(ROWS)).all()


def test_the_slow_ranker_gives_the_same_scores_after_so_many_times_the_work(champion: Path, tmp_path: Path) -> None:
    made = slow(champion, tmp_path / "slow", times=5)
    np.testing.assert_allclose(load_ranker(made).score(ROWS), load_ranker(champion).score(ROWS))
    products = [node for node in onnx.load(made / MODEL_FILE).graph.node if node.op_type == "MatMul"]
    assert len(products) == 5


def test_the_stale_tower_verifies_and_is_not_served(tmp_path: Path) -> None:
    whole = write_artifacts(tmp_path)
    folders = {name: whole / name for name in MODELS}
    tower = folders["two_tower"]
    manifest = read_manifest(tower)
    seal(tower, replace(manifest, config={**manifest.config, FINGERPRINT: fingerprint(tower)}))
    load_models(folders)
    stale = stale_tower(tower, tmp_path / "stale")
    assert verify(stale)
    with pytest.raises(SettingsError, match="stale tower"):
        load_models({**folders, "two_tower": stale})
