"""Protocol P2 from the lake to the table: every scorer fitted, calibrated before the test, judged on the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from models.metrics import Interval, Reliability, calibration_error, log_loss, reliability
from services.trainer.learning.calibration import fit_curve
from services.trainer.p2.data import P2Data, p2_data
from services.trainer.p2.heads import HEADS
from services.trainer.p2.metrics import BINS, METRICS, Judged, evaluate
from services.trainer.p2.scorers import Logits, P2Config, scorers

Progress = Callable[[str, int, int], None]
"""Told what is being fitted, the steps done, and the steps planned."""

FIRST = "like"
"""The head whose results bear the scorer's name alone."""


@dataclass(frozen=True, slots=True)
class P2Result:
    """One head of one scorer under P2."""

    metrics: Mapping[str, Interval]
    """By name in METRICS; a scorer that gives no probabilities lacks log_loss and ece, a head without grades NDCG."""
    fit_seconds: float
    uncalibrated: Mapping[str, float] | None = None
    """log_loss and ece of the probabilities as the model gave them."""
    reliability: Reliability | None = None
    """What the probabilities promised and what came true, on the bins of the ECE."""


def run_p2(
    data_dir: Path, seed: int = 0, progress: Progress | None = None, config: P2Config | None = None
) -> dict[str, P2Result]:
    """All rankers and two peers (a random order; item mean plus user bias) on the ratings of data_dir/lake."""
    config, tell = config or P2Config(), progress or (lambda _name, _done, _planned: None)
    data = p2_data(data_dir, config.latent, seed, partial(tell, "features"))
    results = dict(_peers(data, seed))
    for name, scorer in scorers(config).items():
        started = time.perf_counter()
        logits = scorer.fit(data, seed, partial(tell, name))
        seconds = time.perf_counter() - started
        for place, head in enumerate(scorer.heads):
            own = name if head == FIRST or name.endswith(head) else f"{name}, {head}"
            results[own] = _judge(data, logits[:, place], head, seconds)
    return results


def _peers(data: P2Data, seed: int) -> Iterator[tuple[str, P2Result]]:
    test, judged = data.log.users.size - data.tune_end, judged_on(data, FIRST)[0]
    random = np.random.default_rng(seed).random(test)
    expected = data.features[data.tune_end :, data.columns.columns.index("expected")]
    for name, scores in (("random order", random), ("item mean + user bias", expected)):
        yield name, P2Result(evaluate(scores, judged), 0.0)


def _judge(data: P2Data, logits: Logits, head: str, seconds: float) -> P2Result:
    judged, known = judged_on(data, head)
    raw = logits[data.tune_end - data.fit_end :][known]
    scores = calibrated(data, logits, head)[known]
    as_given, labels = _sigmoid(raw), judged.labels.astype(np.float64)
    return P2Result(
        evaluate(scores, judged, _sigmoid(scores)),
        seconds,
        {"log_loss": log_loss(as_given, labels), "ece": calibration_error(as_given, labels)},
        reliability(_sigmoid(scores), labels, BINS),
    )


def judged_on(data: P2Data, head: str) -> tuple[Judged, NDArray[np.bool_]]:
    """The test events whose label is known, and which of the test's events they are."""
    labels = data.labels[data.tune_end :, HEADS.index(head)]
    known = ~np.isnan(labels)
    grades = data.log.ratings[data.tune_end :][known] if head == FIRST else None
    return Judged.of(data.log.users[data.tune_end :][known], labels[known], grades), known


def calibrated(data: P2Data, logits: Logits, head: str) -> NDArray[np.float64]:
    """(T,) logits of the test, on the curve (Platt) that the events between fit and test tell; `logits` are of both."""
    tune = data.tune_end - data.fit_end
    labels = data.labels[data.fit_end : data.tune_end, HEADS.index(head)]
    known = ~np.isnan(labels)
    curve = fit_curve(logits[:tune][known], labels[known] > 0)
    return curve.logits(logits[tune:], np.zeros(len(logits) - tune))


def _sigmoid(logits: Logits) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


def p2_table(results: Mapping[str, P2Result]) -> Table:
    """The results for a person."""
    title = "P2: will this user like it (95 % intervals over users; probabilities calibrated before the test)"
    table = Table("scorer", *METRICS, "ece before", "fit s", title=title)
    for name, result in results.items():
        cells = [_cell(result.metrics.get(metric)) for metric in METRICS]
        before = "–" if result.uncalibrated is None else f"{result.uncalibrated['ece']:.4f}"
        table.add_row(name, *cells, before, f"{result.fit_seconds:.0f}")
    return table


def _cell(found: Interval | None) -> str:
    return "–" if found is None else f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"
