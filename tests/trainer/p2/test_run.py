"""Protocol P2 from a lake to its table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.dcn_v2 import DcnV2Config
from models.dlrm import DlrmConfig
from models.lambdamart import LambdaMartConfig
from models.metrics import calibration_error
from models.mmoe import MmoeConfig
from services.trainer.p2.heads import HEADS
from services.trainer.p2.run import P2Result, calibrated, p2_table, run_p2
from services.trainer.p2.scorers import P2Config
from services.trainer.ranking_heads import HeadsFitConfig
from tests.trainer.p2.small_log import LATENT, rating_log, small_data, write_lake

SMALL = P2Config(
    latent=LATENT,
    trees=LambdaMartConfig(objective="binary", trees=30, leaves=7, threads=1),
    dlrm=DlrmConfig(objective="binary", width=4, bottom=(16,), top=(16,), epochs=2, batch_rows=256, threads=1),
    dcn_v2=DcnV2Config(embedding=4, rank=4, deep=(16,)),
    mmoe=MmoeConfig(HEADS, (1.0, 0.0, 0.0), embedding=4, experts=2, expert=(16,), tower=(8,)),
    heads=HeadsFitConfig(epochs=3, batch_rows=128, threads=1),
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, P2Result]:
    log = rating_log(6000)
    # Far enough apart that some return in time and some do not.
    log = replace(log, seconds=log.seconds * 40)
    return run_p2(write_lake(log, tmp_path_factory.mktemp("lake")), config=SMALL)


@pytest.mark.parametrize("name", ["lambdamart", "dlrm", "dcn_v2", "mmoe", "single task, like"])
def test_every_ranker_beats_a_random_order_on_a_lake(results: dict[str, P2Result], name: str) -> None:
    assert results[name].metrics["auc"].low > results["random order"].metrics["auc"].high
    assert results[name].metrics["log_loss"].mean < np.log(2)


def test_every_head_has_a_row_and_only_what_its_label_allows(results: dict[str, P2Result]) -> None:
    assert {"mmoe, love", "mmoe, return", "single task, love", "single task, return"} < set(results)
    assert "ndcg_at_10" in results["mmoe"].metrics
    assert "ndcg_at_10" not in results["mmoe, love"].metrics
    assert "ece" not in results["random order"].metrics
    assert p2_table(results).row_count == len(results)


def test_probabilities_are_put_right_by_what_came_before_the_test(tmp_path: Path) -> None:
    data = small_data(write_lake(rating_log(6000), tmp_path))
    merit = data.log.ratings[data.fit_end :, None] - 3.5 + np.random.default_rng(0).normal(0, 2, (1200, 1))
    # Twice as sure as it should be, and too fond of everything.
    logits = 2 * merit[: len(data.log) - data.fit_end] + 3
    tune = data.tune_end - data.fit_end
    liked = data.labels[data.tune_end :, 0]
    before = calibration_error(1 / (1 + np.exp(-logits[tune:, 0])), liked)
    after = calibration_error(1 / (1 + np.exp(-calibrated(data, logits[:, 0], "like"))), liked)
    assert after < before / 3
    # What happens in the test is not looked at.
    labels = data.labels.copy()
    labels[data.tune_end :] = 1 - labels[data.tune_end :]
    again = calibrated(replace(data, labels=labels), logits[:, 0], "like")
    np.testing.assert_array_equal(again, calibrated(data, logits[:, 0], "like"))
