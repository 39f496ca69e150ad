"""The metrics of P2 agree with the plain ones, and intervals hold them."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics import auc, calibration_error, gauc, graded_ndcg, log_loss
from services.trainer.p2.metrics import Judged, compare, evaluate, weighted_auc
from tests.trainer.p2.small_log import USERS, rating_log


def test_weighted_auc_is_the_auc_of_repeated_events() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        scores, liked = random.integers(0, 6, 40).astype(float), random.random(40) < 0.5
        times = random.integers(0, 4, 40)
        repeated = auc(np.repeat(scores, times), np.repeat(liked, times).astype(float))
        level = np.unique(scores, return_inverse=True)[1]
        assert weighted_auc(level, liked, times.astype(float)) == pytest.approx(repeated)


def test_evaluation_agrees_with_the_plain_metrics_and_intervals_hold_them() -> None:
    log = rating_log(1500)
    liked, users, ratings = (log.ratings[500:] >= 4).astype(float), log.users[500:], log.ratings[500:]
    scores = ratings + np.random.default_rng(1).normal(0, 1.5, 1000)
    probabilities = 1 / (1 + np.exp(-(scores - 3.5)))
    found = evaluate(scores, Judged.of(users, liked, ratings), probabilities)
    lists = [users == user for user in range(USERS) if (users == user).sum() >= 10]
    expected = {
        "auc": auc(scores, liked),
        "gauc": gauc(scores, liked, users),
        "ndcg_at_10": float(np.mean([graded_ndcg(scores[rows], ratings[rows]) for rows in lists])),
        "log_loss": log_loss(probabilities, liked),
        "ece": calibration_error(probabilities, liked),
    }
    for name, value in expected.items():
        assert found[name].mean == pytest.approx(value), name
    for name in ("auc", "gauc", "ndcg_at_10", "log_loss"):
        assert found[name].low < found[name].mean < found[name].high


def test_without_grades_or_probabilities_their_metrics_are_missing() -> None:
    log = rating_log(300)
    found = evaluate(log.ratings, Judged.of(log.users, (log.ratings >= 4).astype(float)))
    assert set(found) == {"auc", "gauc"}


def test_where_all_are_of_one_class_there_is_no_auc() -> None:
    log = rating_log(300)
    found = evaluate(log.ratings, Judged.of(log.users, np.ones(300)))
    assert np.isnan([found["auc"].mean, found["gauc"].mean]).all()


def test_a_paired_comparison_sees_a_small_steady_gain() -> None:
    log, random = rating_log(3000), np.random.default_rng(2)
    truth = log.ratings - 3.5
    theirs = [truth + random.normal(0, 2, truth.size) for _ in range(2)]
    ours = [logits + 0.1 * truth for logits in theirs]
    judged = Judged.of(log.users, (log.ratings >= 4).astype(float))
    gain, none = compare(ours, theirs, judged), compare(theirs, theirs, judged)
    assert 0 < gain["gauc"].low < gain["gauc"].mean < 0.05
    assert none["gauc"] == (0.0, 0.0, 0.0)
    assert evaluate(ours[0], judged)["gauc"].low < evaluate(theirs[0], judged)["gauc"].high
