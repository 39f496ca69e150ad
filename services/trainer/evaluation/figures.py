"""The numbers of a report: everything that its tables, pictures and sentences say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from models.metrics import Interval
from services.trainer.evaluation.about import About
from services.trainer.evaluation.rated import Rated

LIST_METRICS: Mapping[str, str] = {
    "coverage": "share of the catalog on some list",
    "novelty": "bits of self-information per item",
    "diversity": "mean genre distance in a list",
    "gini": "Gini index of exposure",
}
"""Of the lists of ten: what each is, with its unit."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model under P1, over the seeds."""

    name: str
    label: str
    ours: bool
    seeds: list[int]
    """One where the fit draws nothing."""
    fit_seconds: float
    """The mean over the seeds; of ours the whole training, which all of ours share."""
    metrics: dict[str, Interval]
    """By name in p1.METRICS: over users, of each user's mean over the seeds."""
    by_seed: dict[str, list[float]]
    lists: dict[str, Interval]
    """By name in LIST_METRICS; absent where the catalog does not say."""
    revisions: list[str]


@dataclass(frozen=True, slots=True)
class Stage:
    """How many of the targets are still there after a part of our funnel."""

    part: str
    """source, merged, or the name of a ranker."""
    name: str
    """Of the source; of the cut otherwise."""
    depth: int
    """Length of the list; 0 where a source decides it."""
    recall: Interval
    alone: float = 0.0
    """Of a source: share of the targets that no other source has."""


@dataclass(frozen=True, slots=True)
class Bands:
    """One metric in parts of the users."""

    by: str
    """What the parts are made by, with its unit."""
    labels: list[str]
    users: list[int]
    ndcg: dict[str, list[Interval | None]]
    """NDCG@10 by model and band, None where a band has nobody."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it."""

    about: About
    users: int
    """Whose last events were the targets."""
    models: list[Model]
    """Best NDCG@10 last."""
    ours: str
    """Name of the funnel that peers are compared with; empty when it is not fitted yet."""
    differences: dict[str, dict[str, Interval]]
    """Ours minus each peer, by peer and metric, paired by user; the narrowest lead last."""
    stages: list[Stage]
    bands: list[Bands]
    rated: list[Rated]

    def model(self, name: str) -> Model:
        """One of the models, by name. KeyError when it was not fitted."""
        return {model.name: model for model in self.models}[name]

    @property
    def peers(self) -> list[Model]:
        """All but ours."""
        return [model for model in self.models if not model.ours]

    @property
    def seeds(self) -> list[int]:
        """Of all that was fitted."""
        by_model = [model.seeds for model in self.models] + [scorer.seeds for scorer in self.rated]
        return sorted(set(chain.from_iterable(by_model)))

    @property
    def revisions(self) -> list[str]:
        """Of the code that fitted it all."""
        by_model = [model.revisions for model in self.models] + [scorer.revisions for scorer in self.rated]
        return sorted(set(chain.from_iterable(by_model)))
