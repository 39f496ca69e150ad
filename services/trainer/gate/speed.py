"""How fast the two answer, timed in turns so that a busy machine slows both alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from services.trainer.gate.config import GateConfig
from services.trainer.gate.verdict import Check

Clock = Callable[[], float]
"""Seconds, from any start."""
_WARM_UP = 3
_LONGEST_S = 20.0
"""Timing ends after this long, however few rounds were made: it is then known to be slow."""
_FEWEST = 5


def latency_check(calls: Mapping[str, Callable[[], object]], config: GateConfig, clock: Clock) -> Check:
    """Times calls["champion"] and calls["challenger"] in turns and compares their medians."""
    return judge_latency({side: np.array(taken) for side, taken in _timed(calls, config.rounds, clock).items()}, config)


def judge_latency(milliseconds: Mapping[str, NDArray[np.float64]], config: GateConfig) -> Check:
    """Refused when the challenger's median is above the floor and above `slowdown` times the champion's, and so is its
    fastest call, which another process at work on the same cores disturbs least.
    """
    champion, challenger = (float(np.median(milliseconds[side])) for side in ("champion", "challenger"))
    best, its_best = (float(milliseconds[side].min()) for side in ("champion", "challenger"))
    tails = [float(np.percentile(milliseconds[side], 99)) for side in ("champion", "challenger")]
    figures = {
        "champion": champion,
        "challenger": challenger,
        "difference": challenger - champion,
        "champion_p99": tails[0],
        "challenger_p99": tails[1],
    }
    found = f"median {challenger:.2f} ms (p99 {tails[1]:.2f}), the champion's {champion:.2f} ms (p99 {tails[0]:.2f})"
    slower = challenger > config.slowdown * champion and its_best > config.slowdown * best
    if slower and challenger > config.floor_ms:
        factor = challenger / max(champion, 1e-9)
        return Check("latency_ms", False, f"{factor:.1f} times as slow: {found}", figures)
    return Check("latency_ms", True, found, figures)


def _timed(calls: Mapping[str, Callable[[], object]], rounds: int, clock: Clock) -> dict[str, list[float]]:
    for call in calls.values():
        for _ in range(_WARM_UP):
            call()
    taken: dict[str, list[float]] = {side: [] for side in calls}
    sides = list(calls)
    gives_up = time.monotonic() + _LONGEST_S
    for number in range(rounds):
        # Whoever goes second finds the caches of the first.
        for side in sides if number % 2 else sides[::-1]:
            begun = clock()
            calls[side]()
            taken[side].append((clock() - begun) * 1000)
        if number + 1 >= _FEWEST and time.monotonic() > gives_up:
            break
    return taken
