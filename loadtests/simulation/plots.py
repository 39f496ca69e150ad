"""The report's pictures; every number in them is in a table too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from loadtests.simulation.settings import REFERENCES
from loadtests.simulation.statistics import Results

COLOURS = {"frozen": "#777777", "retrained": "#d95f02", "feature": "#1b9e77", "weights": "#7570b3"}
GREY = "#bbbbbb"


def draw(results: Results, folder: Path) -> list[Path]:
    """One picture per click model: clicks per page, and what retraining adds."""
    return [_draw(results, clicks, folder / f"{clicks}.png") for clicks in results.played]


def _draw(results: Results, clicks: str, path: Path) -> Path:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _levels(left, results, clicks)
    _differences(right, results, clicks)
    figure.suptitle(f"{clicks}: expected clicks per page of ten")
    figure.savefig(path, dpi=120)
    return path


def _levels(axes: Axes, results: Results, clicks: str) -> None:
    for arm in results.played[clicks]:
        found = results.clicks_by_round(clicks, arm)
        turns = np.arange(1, found.size + 1)
        if arm in REFERENCES:
            axes.plot(turns, found, "--", color=GREY, linewidth=1)
            axes.annotate(arm, (turns[-1], found[-1]), color="#888888", fontsize=8, va="bottom", ha="right")
        else:
            axes.plot(turns, found, "o-", color=COLOURS[arm], label=arm, markersize=4)
    _labelled(axes, "clicks per page")


def _differences(axes: Axes, results: Results, clicks: str) -> None:
    arms = [arm for arm in results.played[clicks] if arm in COLOURS and arm != "frozen"]
    for place, arm in enumerate(arms):
        found = results.difference(clicks, arm, "frozen")
        turns = np.arange(1, len(found) + 1) + (place - (len(arms) - 1) / 2) * 0.08
        means = [one.mean for one in found]
        reach = [one.high - one.mean if np.isfinite(one.high) else 0.0 for one in found]
        axes.errorbar(turns, means, reach, fmt="o-", color=COLOURS[arm], label=arm, markersize=4, capsize=3)
    axes.axhline(0, color="#777777", linewidth=1)
    _labelled(axes, "minus frozen, 95 % interval")


def _labelled(axes: Axes, what: str) -> None:
    axes.set_xlabel("round")
    axes.set_ylabel(what)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=8)
