"""The fit of several heads: it learns what it is told, leaves out what is unknown, and goes on where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.metrics import auc
from models.mmoe import Mmoe, MmoeConfig
from models.rows import HeadRows
from services.trainer import training_loop
from services.trainer.compute import Compute
from services.trainer.ranking_heads import HeadsFit, HeadsFitConfig, fit_heads, logits_of
from tests.models.small_layout import layout, rows

CPU = Compute(torch.device("cpu"))
FIT = HeadsFitConfig(epochs=6, batch_rows=128, learning_rate=0.01)
SHAPE = MmoeConfig(("click", "like"), (1.0, 1.0), embedding=2, experts=2, expert=(8,), tower=(4,))


def head_rows(count: int, seed: int) -> HeadRows:
    """The price decides the click, the age the like, which is known of clicked rows only."""
    features = rows(count, seed)
    clicks = features[:, 0] > 0
    likes = np.where(clicks, features[:, 1] > 0, np.nan)
    return HeadRows(features, np.stack([clicks, likes], axis=1, dtype=np.float32), np.ones(count, np.float32))


TRAIN, HELD_OUT = head_rows(1500, 0), head_rows(400, 1)


def build() -> nn.Module:
    return Mmoe(layout(), SHAPE)


def test_each_head_learns_its_label_though_one_is_mostly_unknown() -> None:
    network = fit_heads(build, TRAIN, HELD_OUT, FIT, 0, compute=CPU)
    test = head_rows(500, 2)
    logits = logits_of(network, test.features)
    known = ~np.isnan(test.labels[:, 1])
    assert auc(logits[:, 0], test.labels[:, 0]) > 0.95
    assert auc(logits[known, 1], test.labels[known, 1]) > 0.95


def test_the_seed_decides_everything() -> None:
    first, second, other = (
        logits_of(fit_heads(build, TRAIN, HELD_OUT, FIT, seed, compute=CPU), HELD_OUT.features) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_head_without_a_label_stays_finite_and_leaves_the_other_alone_to_learn() -> None:
    labels = TRAIN.labels.copy()
    labels[:, 1] = np.nan
    network = fit_heads(build, HeadRows(TRAIN.features, labels, TRAIN.weights), HELD_OUT, FIT, 0, compute=CPU)
    logits = logits_of(network, HELD_OUT.features)
    assert np.isfinite(logits).all()
    assert auc(logits[:, 0], HELD_OUT.labels[:, 0]) > 0.95


def test_a_fit_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_loop, "SAVE_EVERY_S", 0.0)

    def stop(done: int, _planned: int) -> None:
        if done == 17:
            raise KeyboardInterrupt

    whole = fit_heads(build, TRAIN, HELD_OUT, FIT, 0, compute=CPU)
    with pytest.raises(KeyboardInterrupt):
        fit_heads(build, TRAIN, HELD_OUT, FIT, 0, stop, compute=CPU, checkpoint=tmp_path / "fit")
    steps: list[int] = []
    again = fit_heads(
        build, TRAIN, HELD_OUT, FIT, 0, lambda done, _: steps.append(done), compute=CPU, checkpoint=tmp_path / "fit"
    )
    assert steps[0] > 1
    np.testing.assert_array_equal(logits_of(again, HELD_OUT.features), logits_of(whole, HELD_OUT.features))


def test_the_mean_of_two_shares_is_the_loss_of_the_whole_batch() -> None:
    network, batch = build(), np.arange(101)
    losses = [
        HeadsFit(network, TRAIN, HELD_OUT, FIT, Compute(torch.device("cpu"), rank, world), 0, None, None).loss(
            network, batch
        )
        for rank, world in ((0, 1), (0, 2), (1, 2))
    ]
    assert float(losses[0].detach()) == pytest.approx(float((losses[1] + losses[2]).detach()) / 2, rel=1e-5)
