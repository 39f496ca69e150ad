"""The figures on the console."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from models.metrics import Interval
from services.trainer.evaluation.figures import Figures
from services.trainer.evaluation.labels import label_of, scorer_label, source_label
from services.trainer.p1 import METRICS
from services.trainer.p2.metrics import METRICS as RATED_METRICS


def show(figures: Figures, console: Console) -> None:
    """P1, the differences, the stages of our funnel, and P2, as far as they were measured."""
    if figures.models:
        console.print(_models(figures))
    if figures.differences:
        console.print(_differences(figures))
    if figures.stages:
        console.print(_stages(figures))
    if figures.rated:
        console.print(_rated(figures))


def plus_minus(found: Interval) -> str:
    """A value and half the width of its interval."""
    return f"{found.mean:.4f} ±{(found.high - found.low) / 2:.4f}"


def _models(figures: Figures) -> Table:
    table = Table(title=f"P1: next item of {figures.users:,} users, whole catalog, history excluded, 95 % intervals")
    table.add_column("model")
    for name in METRICS:
        table.add_column(name.upper(), justify="right")
    table.add_column("seeds", justify="right")
    table.add_column("fit s", justify="right")
    for model in figures.models:
        cells = [plus_minus(model.metrics[name]) for name in METRICS]
        style = "bold" if model.name == figures.ours else None
        table.add_row(model.label, *cells, str(len(model.seeds)), f"{model.fit_seconds:.0f}", style=style)
    return table


def _differences(figures: Figures) -> Table:
    table = Table(title=f"{figures.model(figures.ours).label} minus peer, paired by user, 95 % interval")
    table.add_column("peer")
    for metric in METRICS:
        table.add_column(metric.upper(), justify="right")
    for name, gains in figures.differences.items():
        cells = [f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]" for gain in gains.values()]
        table.add_row(figures.model(name).label, *cells)
    return table


def _stages(figures: Figures) -> Table:
    table = Table("part", "list", title="Our funnel: share of the targets that are still there, 95 % interval")
    table.add_column("recall", justify="right")
    table.add_column("no other source has", justify="right")
    for stage in figures.stages:
        own = stage.part == "source"
        part = stage.part if stage.part in ("source", "merged") else label_of(stage.part)
        name, alone = (source_label(stage.name), f"{stage.alone:.4f}") if own else (stage.name, "")
        table.add_row(part, name, plus_minus(stage.recall), alone)
    return table


def _rated(figures: Figures) -> Table:
    table = Table(
        "scorer", *RATED_METRICS, "seeds", "fit s", title="P2: will this user like it, 95 % intervals over users"
    )
    for rated in figures.rated:
        cells = [
            f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]" if found is not None else "–"
            for found in map(rated.metrics.get, RATED_METRICS)
        ]
        table.add_row(scorer_label(rated.name), *cells, str(len(rated.seeds)), f"{rated.fit_seconds:.0f}")
    return table
