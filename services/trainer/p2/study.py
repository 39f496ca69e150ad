"""What the parts of P2 are worth: each family of features, and sharing experts against a model for each head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from rich.table import Table

from models.metrics import Interval
from services.trainer.p2.data import P2Data
from services.trainer.p2.heads import HEADS
from services.trainer.p2.metrics import Judged, compare, evaluate
from services.trainer.p2.run import FIRST, Progress, calibrated, judged_on
from services.trainer.p2.scorers import Logits, P2Config, scorers

_COMPARED = ("auc", "gauc", "log_loss")


def ablation(
    data: P2Data, name: str, config: P2Config, seed: int, progress: Progress
) -> dict[str, dict[str, Interval]]:
    """Metrics of a scorer's likes with all features and without each family, on the events before the test.

    The test is for the final table alone: what is left out or kept is chosen here.
    """
    tune = slice(data.fit_end, data.tune_end)
    judged = Judged.of(data.log.users[tune], data.labels[tune, HEADS.index(FIRST)], data.log.ratings[tune])
    fit, found = scorers(config)[name].fit, {}
    for family in ("", *data.columns.families):
        logits = fit(data.without({family}), seed, partial(progress, f"without {family or 'nothing'}"))
        likes = logits[: data.tune_end - data.fit_end, 0]
        found[family] = evaluate(likes, judged, 1 / (1 + np.exp(-likes)))
    return found


def shared_or_alone(
    data: P2Data, config: P2Config, seeds: Sequence[int], progress: Progress
) -> dict[str, dict[str, Interval]]:
    """What MMoE gains on a model of each head alone, on the test, paired by user, over fits of several seeds."""
    of = scorers(config)

    def fits(name: str) -> list[Logits]:
        return [of[name].fit(data, seed, partial(progress, f"{name}, seed {seed}")) for seed in seeds]

    shared = fits("mmoe")
    gains = {}
    for place, head in enumerate(of["mmoe"].heads):
        judged, known = judged_on(data, head)
        ours = [calibrated(data, logits[:, place], head)[known] for logits in shared]
        theirs = [calibrated(data, logits[:, 0], head)[known] for logits in fits(f"single task, {head}")]
        gains[head] = compare(ours, theirs, judged)
    return gains


def ablation_table(found: Mapping[str, Mapping[str, Interval]]) -> Table:
    """A row per family: what is lost without it."""
    table = Table("without", "gauc", "log-loss", "gauc lost", "log-loss lost", title="P2 before the test, by family")
    whole = found[""]
    for family, metrics in found.items():
        lost = (whole["gauc"].mean - metrics["gauc"].mean, metrics["log_loss"].mean - whole["log_loss"].mean)
        values = (metrics["gauc"].mean, metrics["log_loss"].mean)
        table.add_row(family or "nothing", *(f"{v:.4f}" for v in values), *(f"{v:+.4f}" for v in lost))
    return table


def gains_table(gains: Mapping[str, Mapping[str, Interval]]) -> Table:
    """A row per head: the differences with their intervals."""
    table = Table("head", *_COMPARED, title="MMoE minus a model of the head alone, paired by user, 95 % intervals")
    for head, found in gains.items():
        cells = (f"{v.mean:+.4f} [{v.low:+.4f}, {v.high:+.4f}]" for v in (found[name] for name in _COMPARED))
        table.add_row(head, *cells)
    return table
