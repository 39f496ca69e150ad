"""evaluation.json and a page of one file: figures, pictures, and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from services.trainer.evaluation import calibration_plot, plots, sentences
from services.trainer.evaluation.figures import LIST_METRICS, Figures
from services.trainer.evaluation.labels import asks_for_likes, label_of, scorer_label, source_label
from services.trainer.evaluation.literature import DATASET, PUBLISHED
from services.trainer.evaluation.results import write
from services.trainer.evaluation.svg import svg
from services.trainer.p1 import METRICS
from services.trainer.p2.metrics import METRICS as RATED_METRICS

JSON, PAGE = "evaluation.json", "report.html"


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure of the page."""

    name: str
    title: str
    says: str
    """What it shows, in words."""
    svg: Markup


def write_report(figures: Figures, folder: Path) -> Path:
    """Writes both files; returns the page's path."""
    told = json.dumps(asdict(figures), indent=1, default=_plain, allow_nan=False)
    write(folder / JSON, told.encode())
    write(folder / PAGE, page(figures).encode())
    return folder / PAGE


def page(figures: Figures) -> str:
    """The page, with nothing that would have to be loaded."""
    environment = Environment(
        loader=PackageLoader("services.trainer.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        figures=figures,
        about=figures.about,
        pictures=pictures(figures),
        metrics=list(METRICS),
        list_metrics=LIST_METRICS,
        rated_metrics=RATED_METRICS,
        source_label=source_label,
        scorer_label=scorer_label,
        label_of=label_of,
        published=PUBLISHED if figures.about.dataset == DATASET else (),
        revisions=figures.revisions,
        seeds=figures.seeds,
    )


def pictures(figures: Figures) -> dict[str, Picture]:
    """By name, those that there are numbers for."""
    found: dict[str, Picture] = {}

    def add(name: str, title: str, says: str, draw: Callable[[], Figure]) -> None:
        found[name] = Picture(name, title, says, svg(draw(), name, says))

    if figures.models:
        says = sentences.about_models(figures)
        add("models", "Who finds the next item", says, lambda: plots.models(figures))
    if figures.differences:
        says = sentences.about_differences(figures)
        add("differences", "Ours minus each peer", says, lambda: plots.differences(figures))
    if figures.stages:
        says = sentences.about_stages(figures.stages)
        add("funnel", "Where the targets go", says, lambda: plots.funnel(figures.stages))
    if figures.bands and figures.ours:
        add("bands", "For whom, and for what", sentences.about_bands(figures), lambda: plots.bands(figures))
    if figures.models:
        says = sentences.about_lists(figures)
        add("lists", "What the lists are like", says, lambda: plots.lists(figures, dict(LIST_METRICS)))
    sure = [scorer for scorer in figures.rated if scorer.reliability is not None and asks_for_likes(scorer.name)]
    if figures.rated:
        says = sentences.about_rated(figures.rated)
        add("calibration", "Whether probabilities are honest", says, lambda: calibration_plot.reliability(sure))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [None if np.isnan(one) else one for one in value.tolist()]
    raise TypeError(f"{type(value).__name__} has no place in {JSON}.")
