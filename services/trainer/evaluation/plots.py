"""The pictures of P1. Every number in them is in a table of the page too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, PercentFormatter

from models.metrics import Interval
from services.trainer.evaluation.figures import Bands, Figures, Model, Stage
from services.trainer.evaluation.labels import label_of, source_label
from services.trainer.evaluation.literature import DATASET, PUBLISHED
from services.trainer.evaluation.svg import FAINT, INK, MARKERS, PAPER, SERIES, STYLE

OURS, PEER, QUOTED = SERIES[0], SERIES[1], INK
FEATURED = ("two_stage", "co_visitation", "popularity")
"""Peers drawn beside ours where all would be too many."""


def funnel(stages: Sequence[Stage]) -> Figure:
    """Left: what each source finds alone. Right: what is left at each depth, before and after the rankers."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.7), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
        sources = sorted((stage for stage in stages if stage.part == "source"), key=lambda stage: stage.recall.mean)
        _dots(left, [source_label(stage.name) for stage in sources], [stage.recall for stage in sources], OURS)
        left.set_xlim(0, 1.02)
        left.xaxis.set_major_formatter(PercentFormatter(1.0))
        left.set_xlabel("targets on the source's own list (%)")
        left.set_title("each source alone")
        for place, part in enumerate(dict.fromkeys(stage.part for stage in stages if stage.part != "source")):
            own = [stage for stage in stages if stage.part == part]
            label = "merged, before ranking" if part == "merged" else label_of(part)
            depths = [stage.depth * 1.03 ** (place - 1) for stage in own]
            _line(right, depths, [stage.recall for stage in own], place, label)
        right.set_xscale("log")
        depths_told = sorted({stage.depth for stage in stages if stage.depth})
        right.set_xticks(depths_told, [str(depth) for depth in depths_told])
        right.xaxis.set_minor_locator(NullLocator())
        right.xaxis.set_minor_formatter(NullFormatter())
        right.set_ylim(0, 1.02)
        right.yaxis.set_major_formatter(PercentFormatter(1.0))
        right.set_xlabel("first items of the list (log scale)")
        right.set_ylabel("targets among them (%)")
        right.set_title("all merged, then in each ranker's order")
        right.legend(loc="lower right")
    return figure


def models(figures: Figures) -> Figure:
    """HR@10 and NDCG@10 of every model with its interval; quoted figures beneath, hollow."""
    quoted = [row for row in PUBLISHED if row.same_split] if figures.about.dataset == DATASET else []
    rows = len(figures.models) + len(quoted)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.0 + 0.27 * rows), layout="constrained")
        for axes, metric in zip(figure.subplots(1, 2, sharey=True), ("hr@10", "ndcg@10"), strict=True):
            values = [model.metrics[metric] for model in figures.models]
            for place, (model, found) in enumerate(zip(figures.models, values, strict=True), len(quoted)):
                _interval(axes, found, place, OURS if model.ours else PEER, "D" if model.ours else "o")
            for place, row in enumerate(quoted):
                at = row.hr_at_10 if metric == "hr@10" else row.ndcg_at_10
                if at is not None:
                    axes.plot(at, place, "s", markerfacecolor=PAPER, markeredgecolor=QUOTED, markersize=5.5)
            if quoted:
                axes.axhline(len(quoted) - 0.5, color=FAINT, linewidth=1.2)
            axes.set_yticks(
                range(rows), [f"{row.model} (quoted)" for row in quoted] + [model.label for model in figures.models]
            )
            axes.set_xlim(left=0)
            axes.set_xlabel(f"{metric.upper()} (share)" if metric == "hr@10" else f"{metric.upper()} (0 to 1)")
            axes.grid(visible=False, axis="y")
    return figure


def bands(figures: Figures) -> Figure:
    """NDCG@10 by activity and by popularity, of ours and of a few peers."""
    names = [name for name in (figures.ours, *FEATURED) if name in {model.name for model in figures.models}]
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.7), layout="constrained")
        for axes, found in zip(figure.subplots(1, len(figures.bands), squeeze=False)[0], figures.bands, strict=True):
            _band(axes, found, names)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
    return figure


def _band(axes: Axes, found: Bands, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        there = [(at, value) for at, value in enumerate(found.ndcg[name]) if value is not None]
        shift = (place - (len(names) - 1) / 2) * 0.09
        _line(axes, [at + shift for at, _ in there], [value for _, value in there], place, label_of(name))
    told = [f"{label}\n{users:,} users" for label, users in zip(found.labels, found.users, strict=True)]
    axes.set_xticks(range(len(told)), told)
    axes.set_xlabel(found.by)
    axes.set_ylabel("NDCG@10 (0 to 1)")
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")


def differences(figures: Figures) -> Figure:
    """Ours minus each peer: a forest with the line of no difference."""
    names = list(figures.differences)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 0.9 + 0.27 * len(names)), layout="constrained")
        for axes, metric in zip(figure.subplots(1, 2, sharey=True), ("hr@10", "ndcg@10"), strict=True):
            for place, name in enumerate(names):
                _interval(axes, figures.differences[name][metric], place, OURS, "D")
            axes.axvline(0, color=INK, linewidth=1)
            axes.set_yticks(range(len(names)), [label_of(name) for name in names])
            axes.set_ylim(-0.6, len(names) - 0.4)
            axes.set_xlabel(f"{metric.upper()} of ours minus the peer's, same users")
            axes.grid(visible=False, axis="y")
    return figure


def lists(figures: Figures, told: dict[str, str]) -> Figure:
    """What the lists are like against how good they are, a panel per property of `told`."""
    there = {name: unit for name, unit in told.items() if any(name in model.lists for model in figures.models)}
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 6.9), layout="constrained")
        panels = figure.subplots(2, 2).ravel()
        for axes, (name, unit) in zip(panels, there.items(), strict=False):
            for place, model in enumerate(figures.models):
                if name in model.lists:
                    _cross(axes, model, name, place)
            axes.set_xlabel("NDCG@10 (0 to 1)")
            axes.set_ylabel(unit)
            axes.set_title(name)
        for axes in panels[len(there) :]:
            axes.set_visible(False)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _cross(axes: Axes, model: Model, name: str, place: int) -> None:
    x, y = model.metrics["ndcg@10"], model.lists[name]
    colour, marker = SERIES[place % len(SERIES)], MARKERS[(place + place // len(SERIES)) % len(MARKERS)]
    axes.errorbar(
        x.mean, y.mean, _reach(y), _reach(x),
        fmt=marker, color=colour, markersize=9 if model.ours else 6, elinewidth=1, label=model.label,
    )  # fmt: skip


def _dots(axes: Axes, labels: Sequence[str], values: Sequence[Interval], colour: str) -> None:
    for place, found in enumerate(values):
        axes.plot([0, found.mean], [place, place], color=FAINT, linewidth=3)
        _interval(axes, found, place, colour, "o")
    axes.set_yticks(range(len(labels)), labels)
    axes.grid(visible=False, axis="y")


def _interval(axes: Axes, found: Interval, y: float, colour: str, marker: str) -> None:
    axes.errorbar(found.mean, y, xerr=_reach(found), fmt=marker, color=colour, markersize=5.5, elinewidth=1.6)


def _line(axes: Axes, x: Sequence[float], values: Sequence[Interval], place: int, label: str) -> None:
    reach = np.concatenate([_reach(found) for found in values], axis=1) if values else None
    axes.errorbar(
        x, [found.mean for found in values], reach,
        fmt=f"{MARKERS[place]}-", color=SERIES[place], markersize=5, elinewidth=1.2, label=label,
    )  # fmt: skip


def _reach(found: Interval) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(2, 1) below and above; an interval may not hold its value, a bar cannot be negative."""
    return np.array([[max(found.mean - found.low, 0.0)], [max(found.high - found.mean, 0.0)]])
