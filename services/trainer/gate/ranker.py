"""A challenging ranker against the champion, on the same newest rows that people were shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.ranking import Ranker, load_ranker
from services.trainer.examples.examples import Examples
from services.trainer.gate.clicks import click_checks
from services.trainer.gate.config import GateConfig
from services.trainer.gate.contest import Contest, as_served
from services.trainer.gate.features import skew_check
from services.trainer.gate.integrity import open_challenger, score_all
from services.trainer.gate.slices import slices_check
from services.trainer.gate.speed import Clock, latency_check
from services.trainer.gate.verdict import Check, Verdict
from services.trainer.learning import position

Progress = Callable[[int, int], None]
_CHECKS = 9
"""Of a challenger that comes through to the last one."""


def judge_ranker(
    champion: Path,
    challenger: Path,
    held_out: Examples,
    config: GateConfig | None = None,
    *,
    seed: int = 0,
    lake: Path | None = None,
    examination: NDArray[np.float64] | None = None,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter,
) -> Verdict:
    """Every check in order of cost; a challenger that cannot score gets no further than that.

    Args:
        held_out: examples that neither has learned from.
        lake: where logged features are compared with what today's code computes; None leaves that out.
        examination: (K,) how much each place is looked at, from the top; by default estimated from `held_out`.
        progress: told of (done, planned) checks.
        clock: what latency is measured by.

    Raises DamagedArtifact when the champion cannot be loaded.
    """
    begun = time.monotonic()
    checks: list[Check] = []
    for check in _checks(champion, challenger, held_out, config or GateConfig(), seed, lake, examination, clock):
        checks.append(check)
        if progress is not None:
            progress(len(checks), max(_CHECKS, len(checks)))
    return Verdict("ranker", tuple(checks), time.monotonic() - begun)


def _checks(
    champion: Path,
    challenger: Path,
    held_out: Examples,
    config: GateConfig,
    seed: int,
    lake: Path | None,
    examination: NDArray[np.float64] | None,
    clock: Clock,
) -> Iterator[Check]:
    contender, found = open_challenger(challenger, held_out.columns)
    yield found
    if contender is None:
        return
    if not len(held_out):
        yield Check("examples", False, "there are no held-out examples to judge on")
        return
    rows = as_served(held_out)
    scores, found = score_all(contender, rows)
    yield found
    if scores is None:
        return
    incumbent = load_ranker(champion)
    theirs, found = score_all(incumbent, rows)
    if theirs is None:
        yield Check("champion", True, f"judged alone, because the champion cannot score: {found.sentence}")
    else:
        curve = _examination(theirs, held_out) if examination is None else examination
        contest = Contest(held_out, {"champion": theirs, "challenger": scores}, curve, config, seed)
        yield from click_checks(contest)
        yield slices_check(contest, incumbent.spec)
    if lake is not None:
        yield skew_check(held_out, lake, incumbent.spec, config, seed)
    yield _latency(incumbent, contender, rows, config, clock)


def _examination(scores: NDArray[np.float64], held_out: Examples) -> NDArray[np.float64]:
    return position.examination(scores, held_out.positions, held_out.labels > 0)


def _latency(
    champion: Ranker, challenger: Ranker, rows: NDArray[np.float32], config: GateConfig, clock: Clock
) -> Check:
    asked = np.resize(rows, (config.latency_rows, rows.shape[1]))
    return latency_check(
        {"champion": partial(champion.score, asked), "challenger": partial(challenger.score, asked)}, config, clock
    )
