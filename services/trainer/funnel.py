"""The funnel as served, without the wire, over many users at once: what training learns from and P1 measures.

Each worker process opens the artifacts with the code of the services; a request costs a few milliseconds, so two
cores go through 6,000 users in half a minute.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.items import ItemTable
from models.ranking import Ranker, load_ranker
from models.rows import LabelledRows
from models.spec import FeatureSpec
from services.retrieval.loading import open_retriever
from services.retrieval.retriever import Retriever
from services.runtime.errors import SettingsError
from services.trainer.moment import Moment
from services.trainer.ranking_dataset import RankingDataset, RankingQuery

CANDIDATES = 500
"""Candidates per request, the gateway's default."""
CHUNK = 200
"""Moments a worker takes at a time."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Ranks:
    """(U,) 1-based ranks of the target, infinite where the list does not hold it."""

    retrieval: NDArray[np.float64]
    """In retrieval's order of CANDIDATES items."""
    funnel: dict[str, NDArray[np.float64]]
    """The same candidates in each ranker's order."""


@dataclass(slots=True)
class Worker:
    """What a worker process keeps between chunks."""

    retriever: Retriever
    items: ItemTable
    rankers: dict[str, Ranker]
    stack: ExitStack


_worker: Worker | None = None


def _open(folder: Path, items: ItemTable, rankers: dict[str, Path]) -> None:
    global _worker
    stack = ExitStack()
    # There is a worker for each core: threads of their own would wait for each other.
    stack.enter_context(threadpool_limits(1))
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cascade-index-")))
    retriever = stack.enter_context(open_retriever(folder, items, scratch))
    _worker = Worker(retriever, items, {name: load_ranker(path) for name, path in rankers.items()}, stack)


def _opened() -> Worker:
    if _worker is None:
        raise RuntimeError("The worker process was not opened.")
    return _worker


def _queries(moments: Sequence[Moment]) -> Iterator[RankingQuery]:
    for moment in moments:
        candidates = _opened().retriever.retrieve(moment.user, CANDIDATES)
        places = np.flatnonzero(candidates.ids == np.uint64(moment.target))
        label = int(places[0]) if places.size else -1
        yield RankingQuery(moment.user, candidates.ids, candidates.scores, label, moment.at_ms, moment.reactions)


def _learn(task: tuple[Sequence[Moment], FeatureSpec, int, int]) -> RankingDataset | None:
    moments, spec, negatives, seed = task
    queries = [query for query in _queries(moments) if query.label >= 0]
    return RankingDataset.of(queries, spec, _opened().items, negatives, seed) if queries else None


def _rank(worker: Worker, moments: Sequence[Moment]) -> Ranks:
    retrieval: list[float] = []
    funnel: dict[str, list[float]] = {name: [] for name in worker.rankers}
    for query in _queries(moments):
        retrieval.append(query.label + 1 if query.label >= 0 else np.inf)
        for name, ranker in worker.rankers.items():
            rows = ranker.spec.assemble(query.user, worker.items, query.ids, query.retrieval_scores, query.at_ms)
            order = np.argsort(-ranker.score(rows), kind="stable")
            funnel[name].append(float(np.flatnonzero(order == query.label)[0] + 1) if query.label >= 0 else np.inf)
    return Ranks(np.array(retrieval), {name: np.array(ranks) for name, ranks in funnel.items()})


def _do(task: tuple[Callable[[Worker, Sequence[Moment]], Answer], Sequence[Moment]]) -> Answer:
    do, moments = task
    return do(_opened(), moments)


@dataclass(frozen=True, slots=True)
class Funnel:
    """Artifacts on disk: `folder` holds two_tower, co_visitation and popularity; `rankers` are folders by name."""

    folder: Path
    items: ItemTable
    rankers: dict[str, Path]
    workers: int = os.cpu_count() or 1

    def dataset(
        self,
        moments: Sequence[Moment],
        spec: FeatureSpec,
        negatives: int,
        seed: int,
        progress: Callable[[int, int], None],
    ) -> RankingDataset:
        """What a ranker can learn from these moments; those whose target retrieval missed are left out."""
        chunks = _chunks(moments)
        tasks = [(chunk, spec, negatives, seed + place) for place, chunk in enumerate(chunks)]
        parts: list[RankingDataset] = []
        with self._pool() as pool:
            for done, part in enumerate(pool.map(_learn, tasks), 1):
                if part is not None:
                    parts.append(part)
                progress(done, len(tasks))
        return _joined(parts)

    def ranks(self, moments: Sequence[Moment], progress: Callable[[int, int], None]) -> Ranks:
        """Where each moment's target stands, after retrieval and after each ranker."""
        parts = self.each(_rank, moments, progress)
        return Ranks(
            np.concatenate([part.retrieval for part in parts]),
            {name: np.concatenate([part.funnel[name] for part in parts]) for name in self.rankers},
        )

    def each(
        self,
        do: Callable[[Worker, Sequence[Moment]], Answer],
        moments: Sequence[Moment],
        progress: Callable[[int, int], None],
    ) -> list[Answer]:
        """What `do`, a function of a module, answers to each chunk of the moments in a worker process, in order."""
        chunks = _chunks(moments)
        answers: list[Answer] = []
        with self._pool() as pool:
            for done, answer in enumerate(pool.map(_do, [(do, chunk) for chunk in chunks]), 1):
                answers.append(answer)
                progress(done, len(chunks))
        return answers

    @contextmanager
    def _pool(self) -> Iterator[ProcessPoolExecutor]:
        """Worker processes that leave Ctrl-C to this one, which ends them."""
        with ProcessPoolExecutor(
            self.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_open,
            initargs=(self.folder, self.items, self.rankers),
        ) as pool:
            with _interrupts_ignored():
                for _ in range(self.workers):
                    pool.submit(os.getpid)
            yield pool


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started meanwhile inherit it; signals can only be set in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _joined(parts: Sequence[RankingDataset]) -> RankingDataset:
    """One dataset of several; its statistics are those of all rows together."""
    if not parts:
        raise SettingsError("Retrieval proposed none of the targets: the ranker has nothing to learn from.")
    rows = LabelledRows(
        np.concatenate([part.rows.features for part in parts]),
        np.concatenate([part.rows.labels for part in parts]),
        np.concatenate([part.rows.weights for part in parts]),
        np.concatenate([part.rows.group_sizes for part in parts]),
        np.concatenate([part.rows.reactions for part in parts if part.rows.reactions is not None]),
    )
    return RankingDataset(parts[0].spec.with_normalizer(rows.features), rows)


def _chunks(moments: Sequence[Moment]) -> list[Sequence[Moment]]:
    return [moments[start : start + CHUNK] for start in range(0, len(moments), CHUNK)]
