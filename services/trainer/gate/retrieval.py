"""Three challenging retrieval models against the champions, as served, on the same held-out moments."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.artifact import DamagedArtifact, verify
from models.interests import nearest_scores
from models.items import ItemTable
from models.metrics import hit_rate, ndcg
from services.retrieval.loading import MODEL_NAMES, open_retriever
from services.retrieval.query import Tower
from services.retrieval.retriever import Retriever
from services.runtime.errors import SettingsError
from services.trainer.gate.clicks import judged, too_few, undecided
from services.trainer.gate.config import GateConfig
from services.trainer.gate.paired import Floats, compare
from services.trainer.gate.speed import Clock, latency_check
from services.trainer.gate.towers import recall_check, tied_check, vectors_check
from services.trainer.gate.verdict import Check, Verdict
from services.trainer.moment import Moment

CANDIDATES = 500
"""Length of a request's list: what latency is measured with."""
Progress = Callable[[int, int], None]


def judge_retrieval(
    champion: Mapping[str, Path],
    challenger: Mapping[str, Path],
    items: ItemTable,
    moments: Sequence[Moment],
    config: GateConfig | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter,
) -> Verdict:
    """Folders of two_tower, co_visitation and popularity by name; moments that neither has learned from.

    `progress(done, planned)` counts moments. Raises SettingsError when a champion cannot be opened.
    """
    begun = time.monotonic()
    config = config or GateConfig()
    checks = tuple(_checks(champion, challenger, items, moments, config, seed, progress or _silent, clock))
    return Verdict("retrieval", checks, time.monotonic() - begun)


def _checks(
    champion: Mapping[str, Path],
    challenger: Mapping[str, Path],
    items: ItemTable,
    moments: Sequence[Moment],
    config: GateConfig,
    seed: int,
    progress: Progress,
    clock: Clock,
) -> Iterator[Check]:
    with ExitStack() as stack:
        try:
            for name in MODEL_NAMES:
                verify(challenger[name])
            tied = tied_check(challenger["two_tower"])
            yield tied
            if not tied.passed:
                return
            contender = stack.enter_context(_opened(challenger, items))
        except (DamagedArtifact, SettingsError) as error:
            yield Check("integrity", False, str(error))
            return
        yield Check("integrity", True, "three whole models and an index that opens")
        tower = contender.models.tower
        found = vectors_check(tower, contender.index, seed)
        yield found
        if not found.passed:
            return
        if not moments:
            yield Check("moments", False, "there are no held-out moments to judge on")
            return
        moments = _sample(moments, config.moments, seed)
        interests = _interests(tower, moments)
        if not np.isfinite(interests).all():
            yield Check("user_vectors", False, f"no number for {_broken(interests)} of {len(moments)} users")
            return
        yield recall_check(tower, contender.index, np.concatenate(interests), config)
        incumbent = stack.enter_context(_opened(champion, items))
        sides = {"champion": incumbent, "challenger": contender}
        yield from _hits(sides, moments, config, seed, progress)
        requests = {side: _requests(retriever, moments) for side, retriever in sides.items()}
        yield latency_check(requests, config, clock)


def _hits(
    sides: Mapping[str, Retriever], moments: Sequence[Moment], config: GateConfig, seed: int, progress: Progress
) -> Iterator[Check]:
    """What each side finds of the moments' targets: by the tower alone, and merged."""
    alone = {side: _tower_ranks(retriever.models.tower, moments) for side, retriever in sides.items()}
    merged = {side: np.empty(len(moments)) for side in sides}
    for place, moment in enumerate(moments):
        for side, retriever in sides.items():
            ids = retriever.retrieve(moment.user, config.recall_at).ids
            hit = np.flatnonzero(ids == np.uint64(moment.target))
            merged[side][place] = hit[0] + 1 if hit.size else np.inf
        progress(place + 1, len(moments))
    k = config.recall_at
    values = (
        # A merged list hides a tower that finds nothing: the other sources fill it.
        (f"tower_recall_at_{k}", {side: hit_rate(ranks, k) for side, ranks in alone.items()}),
        (f"recall_at_{k}", {side: hit_rate(ranks, k) for side, ranks in merged.items()}),
        ("ndcg_at_10", {side: ndcg(ranks, 10) for side, ranks in merged.items()}),
    )
    users = np.array([moment.user.user_id for moment in moments], np.uint64)
    for name, of in values:
        yield _judged(name, of, users, config, seed)


def _judged(name: str, of: Mapping[str, Floats], users: NDArray[np.uint64], config: GateConfig, seed: int) -> Check:
    found = compare(
        of["champion"],
        of["challenger"],
        users,
        seed=seed,
        resamples=config.resamples,
        confidence=config.confidence,
    )
    if too_few(users.size, found.users, config):
        return undecided(name, found, users.size, config)
    return judged(name, found, config.ndcg_tolerance, config, must_gain=name.startswith("recall"))


def _tower_ranks(tower: Tower, moments: Sequence[Moment]) -> Floats:
    """(B,) rank of each target among the items the user has not seen, by the tower; infinite where it has no vector."""
    ranks = np.full(len(moments), np.inf)
    for place, (moment, interests) in enumerate(zip(moments, _interests(tower, moments), strict=True)):
        row = np.searchsorted(tower.item_ids, np.uint64(moment.target))
        if row < tower.item_ids.size and tower.item_ids[row] == np.uint64(moment.target):
            scores = nearest_scores(tower.item_vectors, interests)
            unseen = ~np.isin(tower.item_ids, moment.user.seen)
            ranks[place] = 1 + np.count_nonzero(scores[unseen] > scores[row])
    return ranks


def _interests(tower: Tower, moments: Sequence[Moment]) -> NDArray[np.float32]:
    """(B, K, D)"""
    return np.stack([tower.encode(moment.user) for moment in moments])


def _broken(interests: NDArray[np.float32]) -> int:
    return int(np.count_nonzero(~np.isfinite(interests).all(axis=(1, 2))))


def _requests(retriever: Retriever, moments: Sequence[Moment]) -> Callable[[], object]:
    users = cycle([moment.user for moment in moments])
    return lambda: retriever.retrieve(next(users), CANDIDATES)


def _sample(moments: Sequence[Moment], count: int, seed: int) -> Sequence[Moment]:
    if len(moments) <= count:
        return moments
    chosen = np.random.default_rng(seed).choice(len(moments), count, replace=False)
    return [moments[place] for place in sorted(chosen.tolist())]


@contextmanager
def _opened(folders: Mapping[str, Path], items: ItemTable) -> Iterator[Retriever]:
    """The retriever of folders that may lie anywhere."""
    with tempfile.TemporaryDirectory(prefix="cascade-gate-") as scratch:
        for name in MODEL_NAMES:
            (Path(scratch) / name).symlink_to(folders[name].absolute())
        with open_retriever(Path(scratch), items, Path(scratch)) as retriever:
            yield retriever


def _silent(done: int, planned: int) -> None:
    """Progress that nobody follows."""
