"""The funnel as served, watched stage by stage. Worker processes import this file: it must stay light."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.retrieval.retriever import NO_IDS
from services.trainer.funnel import CANDIDATES, Funnel, Worker
from services.trainer.moment import Moment
from services.trainer.p1 import TOP


@dataclass(frozen=True, slots=True)
class Seen:
    """One order of the candidates."""

    ranks: NDArray[np.float64]
    """(T,) of the target, infinite where it is no candidate."""
    lists: NDArray[np.uint64]
    """(T, TOP) ids"""
    listed: NDArray[np.bool_]
    """(T, TOP) False behind the end of a short list."""

    @classmethod
    def of(cls, ids: NDArray[np.uint64], target: int) -> Seen:
        """The candidates of one user, best first."""
        place = np.flatnonzero(ids == np.uint64(target))
        top, listed = np.zeros((1, TOP), np.uint64), np.zeros((1, TOP), np.bool_)
        top[0, : ids[:TOP].size], listed[0, : ids[:TOP].size] = ids[:TOP], True
        return cls(np.array([place[0] + 1.0 if place.size else np.inf]), top, listed)

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """Those of several users, one after the other."""
        return cls(
            np.concatenate([part.ranks for part in parts]),
            np.concatenate([part.lists for part in parts]),
            np.concatenate([part.listed for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Watched:
    """The funnel stage by stage."""

    sources: dict[str, NDArray[np.float64]]
    """(T,) the target's rank in each source's own list."""
    merged: Seen
    ranked: dict[str, Seen]
    """By ranker."""

    @classmethod
    def joined(cls, parts: Sequence[Watched]) -> Watched:
        """Those of several users, one after the other."""
        first = parts[0]
        return cls(
            {name: np.concatenate([part.sources[name] for part in parts]) for name in first.sources},
            Seen.joined([part.merged for part in parts]),
            {name: Seen.joined([part.ranked[name] for part in parts]) for name in first.ranked},
        )


def watch(funnel: Funnel, moments: Sequence[Moment], progress: Callable[[int, int], None]) -> Watched:
    """Each stage right before the events of the moments, by the code that serves."""
    return Watched.joined(funnel.each(_watch, moments, progress))


def _watch(worker: Worker, moments: Sequence[Moment]) -> Watched:
    return Watched.joined([_watch_one(worker, moment) for moment in moments])


def _watch_one(worker: Worker, moment: Moment) -> Watched:
    retriever = worker.retriever
    query = retriever.query(moment.user, NO_IDS, (), 0)
    sources = {}
    for source in retriever.sources:
        depth = max(1, math.ceil(retriever.config.shares[source.name].depth * CANDIDATES))
        proposed = retriever.catalog.ids[source.propose(query, depth).rows]
        sources[source.name] = Seen.of(proposed, moment.target).ranks
    found = retriever.retrieve(moment.user, CANDIDATES)
    ranked = {}
    for name, ranker in worker.rankers.items():
        rows = ranker.spec.assemble(moment.user, worker.items, found.ids, found.scores, moment.at_ms)
        ranked[name] = Seen.of(found.ids[np.argsort(-ranker.score(rows), kind="stable")], moment.target)
    return Watched(sources, Seen.of(found.ids, moment.target), ranked)
