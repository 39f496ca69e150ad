"""From a champion and clicks to a challenger that is better, bounded, and the same every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from models.artifact import read_manifest, verify
from models.heads import Heads
from models.lambdamart import LambdaMartConfig
from models.networks import build
from models.ranking import OnnxRanker, load_ranker
from models.spec import POSITION_COLUMN
from services.trainer.examples.examples import Examples
from services.trainer.kinds import KINDS, Kind
from services.trainer.learning.config import LearnConfig, Position
from services.trainer.learning.fit import BASE_TREES, fit_challenger
from services.trainer.learning.network import forget_places, scores_of
from services.trainer.ranking import TREES_FILE, NetworkConfig
from tests.trainer.learning.world import CHAMPIONS, HEADS, champion, pool_rows, share_of_best, shown, small_spec, wanted

QUICK = LearnConfig(trees=40, epochs=8)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("champions") / "lambdamart"
    champion("lambdamart", folder)
    return folder


@pytest.fixture(scope="module")
def champions(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Path]:
    """The folder of a champion of a kind, fitted when it is asked for first."""
    parent = tmp_path_factory.mktemp("networks")

    def folder(kind: Kind) -> Path:
        if not (parent / kind).exists():
            champion(kind, parent / kind)
        return parent / kind

    return folder


def clicks(ranker: Path, slates: int = 800, seed: int = 1, valid: float = 0.2) -> tuple[Examples, Examples]:
    return shown(load_ranker(ranker), slates, seed).split_newest(valid)


def learned(ranker: Path, out: Path, position: Position, seed: int = 0, slates: int = 800) -> OnnxRanker:
    train, valid = clicks(ranker, slates, seed + 10)
    fit_challenger(train, valid, ranker, out, replace(QUICK, position=position), seed=seed)
    return load_ranker(out)


@pytest.mark.parametrize("kind", KINDS)
def test_clicks_make_a_ranker_that_orders_better_and_has_the_champions_spec(
    kind: Kind, champions: Callable[[Kind], Path], tmp_path: Path
) -> None:
    before = champions(kind)
    told: list[tuple[int, int]] = []
    train, valid = clicks(before)
    manifest = fit_challenger(
        train, valid, before, tmp_path / "new", QUICK, seed=3, lineage={"dataset": "d"},
        progress=lambda done, planned: told.append((done, planned)),
    )  # fmt: skip
    assert share_of_best(load_ranker(tmp_path / "new")) > share_of_best(load_ranker(before)) + 0.04
    assert manifest.metrics["valid_log_loss"] < manifest.metrics["valid_champion_log_loss"]
    assert verify(tmp_path / "new") == manifest
    assert (manifest.kind, manifest.spec) == (kind, read_manifest(before).spec)
    assert (manifest.lineage["seed"], manifest.lineage["dataset"]) == ("3", "d")
    assert all(0 < done <= planned for done, planned in told)
    assert told


@pytest.mark.parametrize("kind", ["lambdamart", "dlrm"])
def test_the_same_examples_and_seed_give_the_same_bytes(
    kind: Kind, champions: Callable[[Kind], Path], tmp_path: Path
) -> None:
    before = champions(kind)
    train, valid = clicks(before, slates=200)
    config = replace(QUICK, epochs=1)
    first, second = (
        fit_challenger(train, valid, before, tmp_path / name, config, seed=1) for name in ("first", "second")
    )
    assert (first.metrics, first.files, first.config) == (second.metrics, second.files, second.config)


def test_clicks_teach_the_click_head_and_leave_the_others_as_they_were(
    champions: Callable[[Kind], Path], tmp_path: Path
) -> None:
    before = champions("mmoe")
    train, valid = clicks(before)
    fit_challenger(train, valid, before, tmp_path / "new", QUICK)
    old, new = load_ranker(before), load_ranker(tmp_path / "new")
    assert (old.heads, new.heads) == tuple(Heads(HEADS, (1.0, 0.0, 0.0, 0.0), listwise) for listwise in (True, False))
    logits, learnt = old.logits(valid.features), new.logits(valid.features)
    alike = [np.corrcoef(learnt[:, head], logits[:, head])[0, 1] for head in range(4)]
    assert min(alike[1:]) > 0.9
    assert alike[0] < 0.9


@pytest.mark.parametrize("kind", ["dlrm", "dcn_v2", "mmoe"])
def test_a_network_that_forgot_the_places_scores_the_same_at_every_one(kind: Kind) -> None:
    config, layout = CHAMPIONS[kind], small_spec().with_normalizer(pool_rows(np.random.default_rng(0), 200))
    shape = config.shape if isinstance(config, NetworkConfig) else config
    assert not isinstance(shape, LambdaMartConfig)
    network = build(layout, shape)
    top = pool_rows(np.random.default_rng(1), 20)
    lower = top.copy()
    lower[:, layout.columns.index(POSITION_COLUMN)] = 3.0
    assert not np.allclose(scores_of(network, lower), scores_of(network, top), atol=1e-4)
    forget_places(network, layout)
    np.testing.assert_allclose(scores_of(network, lower), scores_of(network, top), atol=1e-6)


def test_correcting_the_place_brings_the_order_closer_to_what_is_wanted(trees: Path, tmp_path: Path) -> None:
    share = {
        position: np.mean(
            [share_of_best(learned(trees, tmp_path / f"{position}-{seed}", position, seed)) for seed in range(3)]
        )
        for position in ("none", "feature", "weights")
    }
    assert share["feature"] > share["none"] + 0.03
    assert share["weights"] > share["none"] + 0.03


def test_the_served_form_scores_as_the_trees_do_and_the_place_does_not_change_what_is_served(
    trees: Path, tmp_path: Path
) -> None:
    ranker = learned(trees, tmp_path / "new", "feature")
    features = clicks(trees, seed=7)[0].features
    booster = lightgbm.Booster(model_file=str(tmp_path / "new" / TREES_FILE))
    numeric = np.ascontiguousarray(features[:, : booster.num_feature()])
    trained = np.asarray(booster.predict(numeric, raw_score=True), np.float32)
    np.testing.assert_allclose(ranker.score(features), trained, atol=1e-5)


def test_calibrated_scores_are_the_chances_of_a_click_at_the_top(trees: Path, tmp_path: Path) -> None:
    train, valid = clicks(trees, slates=5000, valid=0.6)
    fit_challenger(train, valid, trees, tmp_path / "new", QUICK)
    ranker = load_ranker(tmp_path / "new")
    curve = read_manifest(tmp_path / "new").config["calibration"]
    features = clicks(trees, seed=8)[0].features
    scores = ranker.score(features).astype(np.float64)
    chances = 1 / (1 + np.exp(-(curve["slope"] * scores + curve["intercept"])))
    truth = 1 / (1 + np.exp(-wanted(features)))
    # Even before the calibration a score is a logit: the trees took over the scale of the clicks.
    assert abs((1 / (1 + np.exp(-scores))).mean() - truth.mean()) < 0.06
    assert abs(chances.mean() - truth.mean()) < 0.04
    highest = chances > np.quantile(chances, 0.8)
    assert abs(chances[highest].mean() - truth[highest].mean()) < 0.08


def test_clicks_at_random_leave_the_champions_order(trees: Path, tmp_path: Path) -> None:
    train, valid = clicks(trees, slates=300)
    random = np.random.default_rng(0)
    noise = [replace(part, labels=random.permutation(part.labels)) for part in (train, valid)]
    fit_challenger(noise[0], noise[1], trees, tmp_path / "new", QUICK)
    before, after = (load_ranker(folder).score(valid.features) for folder in (trees, tmp_path / "new"))
    np.testing.assert_allclose(np.corrcoef(before, after)[0, 1], 1, atol=1e-4)


def test_trees_of_earlier_continuous_fits_make_way_when_there_are_too_many(trees: Path, tmp_path: Path) -> None:
    base = lightgbm.Booster(model_file=str(trees / TREES_FILE)).num_trees()
    config = replace(QUICK, max_trees=base + QUICK.trees + 10)
    folder, counts = trees, []
    for run in range(4):
        train, valid = clicks(trees, seed=20 + run)
        manifest = fit_challenger(train, valid, folder, tmp_path / f"{run}", config)
        assert manifest.config[BASE_TREES] == base
        folder = tmp_path / f"{run}"
        counts.append(lightgbm.Booster(model_file=str(folder / TREES_FILE)).num_trees())
    assert all(base < count <= config.max_trees for count in counts)


def test_examples_without_clicks_or_of_another_spec_are_refused(trees: Path, tmp_path: Path) -> None:
    train, valid = clicks(trees, slates=100)
    with pytest.raises(ValueError, match="nothing to learn"):
        fit_challenger(replace(train, labels=np.zeros_like(train.labels)), valid, trees, tmp_path / "new")
    other = replace(train, columns=(*train.columns[:-1], "another"))
    with pytest.raises(ValueError, match="`train` have other feature columns"):
        fit_challenger(other, valid, trees, tmp_path / "new")
    with pytest.raises(ValueError, match="no examples in `valid`"):
        fit_challenger(train, valid.of_slates(np.zeros(valid.group_sizes.size, bool)), trees, tmp_path / "new")
    assert not (tmp_path / "new").exists()
