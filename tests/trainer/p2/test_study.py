"""The studies: a family that tells the label is missed when it is left out; heads are compared on what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.trainer.p2.data import P2Data
from services.trainer.p2.scorers import P2Config
from services.trainer.p2.study import ablation, ablation_table, gains_table, shared_or_alone
from tests.trainer.p2.small_log import rating_log, small_data, write_lake
from tests.trainer.p2.test_run import SMALL


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> P2Data:
    log = rating_log(3000)
    log = replace(log, seconds=log.seconds * 40)
    return small_data(write_lake(log, tmp_path_factory.mktemp("lake")))


def quiet(_name: str, _done: int, _planned: int) -> None:
    """Tells nobody."""


def test_the_family_that_gives_the_label_away_is_missed(data: P2Data) -> None:
    features, labels = data.features.copy(), data.labels.copy()
    labels[:, 0] = np.random.default_rng(0).random(len(labels)) < 0.5
    features[:, data.columns.columns.index("hour")] = labels[:, 0]
    found = ablation(replace(data, features=features, labels=labels), "lambdamart", SMALL, 0, quiet)
    assert set(found) == {"", *data.columns.families}
    assert found[""]["gauc"].mean > 0.99
    assert found["visits"]["gauc"].mean < 0.6
    assert ablation_table(found).row_count == len(found)


def test_the_test_is_not_looked_at_by_the_ablation(data: P2Data) -> None:
    labels = data.labels.copy()
    labels[data.tune_end :] = 1 - labels[data.tune_end :]
    few = data.without(set(data.columns.families) - {"sides", "visits"})
    first, second = (ablation(d, "lambdamart", SMALL, 0, quiet) for d in (few, replace(few, labels=labels)))
    assert first[""] == second[""]


def test_every_head_is_compared_over_the_seeds(data: P2Data) -> None:
    told: set[str] = set()
    config: P2Config = replace(SMALL, heads=replace(SMALL.heads, epochs=1))
    gains = shared_or_alone(data, config, (0, 1), lambda name, _done, _planned: told.add(name))
    assert set(gains) == {"like", "love", "return"}
    assert {"mmoe, seed 1", "single task, love, seed 0"} < told
    assert all(np.isfinite(found["gauc"]).all() for found in gains.values())
    assert gains_table(gains).row_count == 3
