"""The picture of P2: whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from services.trainer.evaluation.labels import scorer_label
from services.trainer.evaluation.rated import Rated
from services.trainer.evaluation.svg import INK, MARKERS, SERIES, STYLE

MOST = len(MARKERS)
"""Scorers that one picture can show."""


def reliability(scorers: Sequence[Rated]) -> Figure:
    """Above: promised against observed, the diagonal is truth. Below: how often what was promised."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.6), layout="constrained")
        panels = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper, lower = panels
        upper.plot([0, 1], [0, 1], ":", color=INK, linewidth=1.2)
        for place, scorer in enumerate(scorers[:MOST]):
            diagram = scorer.reliability
            if diagram is None:
                continue
            there = diagram.events > 0
            label = scorer_label(scorer.name)
            if "ece" in scorer.metrics:
                label += f": ECE {scorer.metrics['ece'].mean:.4f}"
            style = f"{MARKERS[place]}-"
            upper.plot(
                diagram.predicted[there], diagram.observed[there], style, color=SERIES[place], markersize=5, label=label
            )
            share = diagram.events / max(float(np.sum(diagram.events)), 1.0)
            middle = (np.arange(share.size) + 0.5) / share.size
            lower.plot(middle[there], 100 * share[there], style, color=SERIES[place], markersize=3.5, linewidth=1)
        upper.set_ylabel("share that was liked (0 to 1)")
        upper.set_ylim(-0.02, 1.02)
        upper.legend(loc="upper left")
        lower.set_ylabel("events (%)")
        lower.set_xlabel("predicted probability of a like (0 to 1)")
        lower.set_ylim(bottom=0)
        lower.set_xlim(0, 1)
    return figure
