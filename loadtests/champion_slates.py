"""What the champion would have shown before each user's last event, and whether that event was on it.

Examples without traffic: a stack that was just trained has shown nothing yet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable
from models.ranking import Ranker, load_ranker
from services.retrieval.candidates import Candidates
from services.retrieval.loading import MODEL_NAMES, open_retriever
from services.runtime.registry import Registry
from services.trainer.catalog import item_table
from services.trainer.data.interactions import Interactions
from services.trainer.evaluation.champions import known_at_training
from services.trainer.examples.examples import CLICKED, Examples
from services.trainer.funnel import CANDIDATES
from services.trainer.moment import Moment

SLATE = 20
MOMENTS = 1000


@dataclass(frozen=True, slots=True)
class Champions:
    """What serves, as folders, and moments to judge it on: last events, which no champion has learned from."""

    folders: dict[str, Path]
    """By model, the ranker among them."""
    items: ItemTable
    moments: Sequence[Moment]

    @classmethod
    def of(cls, registry: Registry, lake: Path, seed: int) -> Self:
        """The registry's champions and a sample of the lake's last events."""
        interactions = known_at_training(registry, lake)
        known = interactions.leave_last(1)
        return cls(
            {name: registry.resolve(name).folder for name in (*MODEL_NAMES, "ranker")},
            item_table(known.items, known.events_frame()),
            _moments(interactions, seed),
        )

    def slates(self, progress: Callable[[int, int], None]) -> Examples:
        """SLATE items for each moment, in the champion's order; its item is the click, if it is there."""
        ranker = load_ranker(self.folders["ranker"])
        ordered = replace(self, moments=sorted(self.moments, key=lambda moment: moment.at_ms))
        shown = [_Shown.of(moment, found, ranker, self.items) for moment, found in ordered.found(progress)]
        return _examples(ranker, shown)

    def ranked(
        self, n: int, progress: Callable[[int, int], None]
    ) -> Iterator[tuple[Moment, NDArray[np.uint64], NDArray[np.float32]]]:
        """For each moment the champion's n best items and their scores, best first."""
        ranker = load_ranker(self.folders["ranker"])
        for moment, found in self.found(progress):
            rows = ranker.spec.assemble(moment.user, self.items, found.ids, found.scores, moment.at_ms)
            scores = ranker.score(rows)
            best = np.argsort(-scores, kind="stable")[:n]
            yield moment, found.ids[best], scores[best]

    def found(self, progress: Callable[[int, int], None]) -> Iterator[tuple[Moment, Candidates]]:
        """The candidates of each moment."""
        with tempfile.TemporaryDirectory(prefix="cascade-slates-") as scratch:
            for name in MODEL_NAMES:
                (Path(scratch) / name).symlink_to(self.folders[name])
            with open_retriever(Path(scratch), self.items, Path(scratch)) as retriever:
                for done, moment in enumerate(self.moments, 1):
                    yield moment, retriever.retrieve(moment.user, CANDIDATES)
                    progress(done, len(self.moments))


@dataclass(frozen=True, slots=True)
class _Shown:
    moment: Moment
    ids: NDArray[np.uint64]
    rows: NDArray[np.float32]

    @classmethod
    def of(cls, moment: Moment, found: Candidates, ranker: Ranker, items: ItemTable) -> Self:
        rows = ranker.spec.assemble(moment.user, items, found.ids, found.scores, moment.at_ms)
        best = np.argsort(-ranker.score(rows), kind="stable")[:SLATE]
        return cls(moment, found.ids[best], rows[best])


def _examples(ranker: Ranker, shown: Sequence[_Shown]) -> Examples:
    sizes = np.array([slate.ids.size for slate in shown], np.int64)
    ids = np.concatenate([slate.ids for slate in shown])
    targets = np.repeat(np.array([slate.moment.target for slate in shown], np.uint64), sizes)
    return Examples(
        columns=ranker.spec.columns,
        features=np.concatenate([slate.rows for slate in shown]),
        labels=np.where(ids == targets, CLICKED, 0.0).astype(np.float32),
        user_ids=np.repeat(np.array([slate.moment.user.user_id for slate in shown], np.uint64), sizes),
        item_ids=ids,
        times_us=np.repeat(np.array([slate.moment.at_ms * 1000 for slate in shown], np.int64), sizes),
        positions=np.concatenate([np.arange(1, size + 1) for size in sizes.tolist()]),
        propensities=np.ones(ids.size, np.float32),
        slots=np.full(ids.size, "ranked"),
        arms=np.full(ids.size, "champion"),
        group_sizes=sizes,
        recommendation_ids=np.array([f"history-{place}" for place in range(len(shown))]),
    )


def _moments(interactions: Interactions, seed: int) -> list[Moment]:
    targets = list(interactions.targets(1))
    chosen = np.random.default_rng(seed).permutation(len(targets))[:MOMENTS].tolist()
    return [
        Moment(interactions.state_before(user, 1), item) for user, item, at_ms in (targets[place] for place in chosen)
    ]
