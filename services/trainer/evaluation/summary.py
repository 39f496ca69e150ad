"""From results to figures: means over seeds, bootstraps over users, lists, bands and stages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from models.list_metrics import coverage, diversity, exposure, gini, jackknife, novelty
from models.metrics import Interval, interval, paired_interval
from services.trainer.data.interactions import Interactions
from services.trainer.evaluation.about import About
from services.trainer.evaluation.bands import activity_bands, in_bands, popularity_bands
from services.trainer.evaluation.figures import Bands, Figures, Model, Stage
from services.trainer.evaluation.labels import label_of
from services.trainer.evaluation.ours import NAMES, OURS, RETRIEVAL_ALONE
from services.trainer.evaluation.rated import Rated
from services.trainer.evaluation.results import Result
from services.trainer.p1 import METRICS
from services.trainer.peers.facts import unit_genres
from services.trainer.peers.task import columns

CUTS = (10, 50, 200, 500)
"""Depths at which a list is looked at."""


def summarise(about: About, results: Sequence[Result], rated: list[Rated], interactions: Interactions) -> Figures:
    """Figures of whatever results there are."""
    by_model = {name: list(own) for name, own in groupby(results, lambda result: result.model)}
    catalog = Catalog.of(interactions)
    models = [_model(own, catalog) for own in by_model.values()]
    return Figures(
        about=about,
        users=results[0].chosen.size if results else 0,
        models=sorted(models, key=lambda model: model.metrics["ndcg@10"].mean),
        ours=OURS if OURS in by_model else "",
        differences=_differences(by_model),
        stages=_stages(by_model),
        bands=_bands(by_model, interactions),
        rated=rated,
    )


class Catalog:
    """What lists are measured with."""

    def __init__(self, item_users: NDArray[np.int64], users: int, genres: NDArray[np.float32]) -> None:
        self.item_users, self.users, self.genres = item_users, users, genres

    @classmethod
    def of(cls, interactions: Interactions) -> Catalog:
        """As known before the targets."""
        history = interactions.leave_last(1)
        counts = np.bincount(columns(history), minlength=history.items.height)
        return cls(counts, len(history), unit_genres(history))


def _model(results: Sequence[Result], catalog: Catalog) -> Model:
    first = results[0]
    return Model(
        name=first.model,
        label=label_of(first.model),
        ours=first.model in NAMES,
        seeds=[result.seed for result in results],
        fit_seconds=float(np.mean([result.fit_seconds for result in results])),
        metrics={name: interval(_per_user(results, name)) for name in METRICS},
        by_seed={name: [float(of(result.ranks).mean()) for result in results] for name, of in METRICS.items()},
        lists=_list_figures(results, catalog),
        revisions=sorted({result.revision for result in results}),
    )


def _per_user(results: Sequence[Result], metric: str) -> NDArray[np.float64]:
    """(T,) mean over the seeds."""
    return np.asarray(np.mean([METRICS[metric](result.ranks) for result in results], axis=0))


def _list_figures(results: Sequence[Result], catalog: Catalog) -> dict[str, Interval]:
    items = catalog.item_users.size
    found = {
        "coverage": _mean([jackknife(lambda lists: coverage(lists, items), result.lists) for result in results]),
        "gini": _mean([jackknife(lambda lists: gini(exposure(lists, items)), result.lists) for result in results]),
        "novelty": _of_users([novelty(result.lists, catalog.item_users, catalog.users) for result in results]),
    }
    if catalog.genres.shape[1]:
        found["diversity"] = _of_users([diversity(result.lists, catalog.genres) for result in results])
    return {name: value for name, value in found.items() if value is not None}


def _of_users(values: Sequence[NDArray[np.float64]]) -> Interval | None:
    per_user = np.mean(values, axis=0)
    known = per_user[~np.isnan(per_user)]
    return interval(known) if known.size else None


def _mean(intervals: Sequence[Interval]) -> Interval:
    return Interval(*np.mean(intervals, axis=0).tolist())


def _differences(by_model: dict[str, list[Result]]) -> dict[str, dict[str, Interval]]:
    if OURS not in by_model:
        return {}
    mine = {metric: _per_user(by_model[OURS], metric) for metric in METRICS}
    gains = {
        name: {metric: paired_interval(mine[metric], _per_user(results, metric)) for metric in METRICS}
        for name, results in by_model.items()
        if name not in NAMES
    }
    return dict(sorted(gains.items(), key=lambda gain: -gain[1]["ndcg@10"].mean))


def _stages(by_model: dict[str, list[Result]]) -> list[Stage]:
    """Of our funnel, over the seeds; empty until it is fitted."""
    if RETRIEVAL_ALONE not in by_model:
        return []
    merged = by_model[RETRIEVAL_ALONE]
    stages = []
    for source in merged[0].sources:
        found = np.mean([np.isfinite(result.sources[source]) for result in merged], axis=0)
        alone = np.mean([_only(result, source) for result in merged])
        stages.append(Stage("source", source, 0, interval(found), float(alone)))
    for name in (name for name in NAMES if name in by_model):
        part = "merged" if name == RETRIEVAL_ALONE else name
        for cut in CUTS:
            within = np.mean([result.ranks <= cut for result in by_model[name]], axis=0)
            stages.append(Stage(part, f"first {cut}", cut, interval(within)))
    return stages


def _only(result: Result, source: str) -> float:
    others = [np.isfinite(ranks) for name, ranks in result.sources.items() if name != source]
    return float((np.isfinite(result.sources[source]) & ~np.any(others, axis=0)).mean())


def _bands(by_model: dict[str, list[Result]], interactions: Interactions) -> list[Bands]:
    if not by_model:
        return []
    chosen = next(iter(by_model.values()))[0].chosen
    scores = {name: _per_user(results, "ndcg@10") for name, results in by_model.items()}
    return [
        in_bands(made, scores)
        for made in (activity_bands(interactions, chosen), popularity_bands(interactions, chosen))
    ]
