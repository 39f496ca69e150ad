"""P1: the next item of every user, ranked among the whole catalog.

    ranks = ranks_of(scorer, interactions)                # one per user with a target
    evaluate_ranks(ranks)                                 # {"hr@10": .27, "hr@10_low": .26, "hr@10_high": .28, ...}
    console.print(ranks_table({"popularity": ranks, "ours": others}))

The target is a user's last event, everything before it is the history. Candidates are all items of the catalog but
those of the history; items that tie with the target share their mean rank. There are no sampled metrics (Krichene
and Rendle, KDD'20, show why).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from models.metrics import Interval, hit_rate, interval, ndcg, paired_interval, target_rank
from services.trainer.data.interactions import Interactions

TargetRanks = NDArray[np.float64]
"""(T,) 1-based rank of each user's target, infinite where it was not ranked at all."""

METRICS: Mapping[str, Callable[[TargetRanks], NDArray[np.float64]]] = {
    "hr@10": lambda ranks: hit_rate(ranks, 10),
    "ndcg@10": lambda ranks: ndcg(ranks, 10),
    "hr@50": lambda ranks: hit_rate(ranks, 50),
    "hr@200": lambda ranks: hit_rate(ranks, 200),
}
"""What each user adds to the mean, by name."""

TOP = 10
"""Length of the list that is kept of each user."""

_BLOCK = 256
"""Users scored at once: bounds the memory of their score rows."""


class Scorer(Protocol):
    """A model under P1, fitted on the histories it is asked about."""

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) scores of every item of the catalog, in its order, for B user rows; higher is better.

        The array is the caller's to change.
        """


@dataclass(frozen=True, slots=True)
class Judged:
    """What P1 sees of a model, in the order of `interactions.targets()`."""

    ranks: TargetRanks
    lists: NDArray[np.int32]
    """(T, TOP) places in the catalog of the best items, -1 where there are no more."""


def ranks_of(scorer: Scorer, interactions: Interactions) -> TargetRanks:
    """Rank of the target of each user that has one, in the order of `interactions.targets()`."""
    return judge(scorer, interactions).ranks


def judge(scorer: Scorer, interactions: Interactions, chosen: NDArray[np.int64] | None = None) -> Judged:
    """Ranks and lists of the users with a target, or of the `chosen` of them, by place in `targets()`.

    The scorer was fitted on `interactions.leave_last(1)`; its columns follow `interactions.items`.
    """
    item_ids = interactions.items["item_id"].to_numpy()
    history = interactions.leave_last(1)
    seen = columns_of(item_ids, history.item_ids)
    targets = list(interactions.targets())
    users = np.array([user for user, _, _ in targets], np.int64)
    aims = columns_of(item_ids, np.array([item for _, item, _ in targets], np.uint64))
    if chosen is not None:
        users, aims = users[chosen], aims[chosen]
    ranks = np.empty(users.size)
    lists = np.full((users.size, TOP), -1, np.int32)
    for start in range(0, users.size, _BLOCK):
        block = users[start : start + _BLOCK]
        for place, (user, scores) in enumerate(zip(block.tolist(), scorer.scores(block), strict=True), start):
            scores[seen[history.offsets[user] : history.offsets[user + 1]]] = -np.inf
            ranks[place] = target_rank(scores, int(aims[place]))
            best = _best(scores)
            lists[place, : best.size] = best
    return Judged(ranks, lists)


def _best(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Up to TOP places, best first, ties in the order of the catalog."""
    floor = np.partition(scores, -TOP)[-TOP] if scores.size > TOP else -np.inf
    places = np.flatnonzero((scores >= floor) & (scores > -np.inf))
    return places[np.argsort(-scores[places], kind="stable")][:TOP]


def columns_of(item_ids: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(K,) place of each wanted id in a catalog of (I,) unsorted ids. ValueError when one is not there."""
    order = np.argsort(item_ids)
    places = order[np.minimum(np.searchsorted(item_ids, wanted, sorter=order), item_ids.size - 1)]
    if not np.array_equal(item_ids[places], wanted):
        stranger = wanted[item_ids[places] != wanted][0]
        raise ValueError(f"Item {stranger} has events but is not in the catalog.")
    return places


def evaluate_ranks(ranks: TargetRanks, seed: int = 0) -> dict[str, float]:
    """Each of METRICS, and with the suffixes _low and _high its 95 % interval from a bootstrap over users."""
    return _flat({name: interval(metric(ranks), seed) for name, metric in METRICS.items()})


def compare_ranks(ranks: TargetRanks, others: TargetRanks, seed: int = 0) -> dict[str, float]:
    """The same keys for the difference `ranks` - `others`, paired by user: an interval above 0 is a win."""
    if ranks.shape != others.shape:
        raise ValueError(f"A paired comparison needs the same users, got {ranks.size} and {others.size} ranks.")
    return _flat({name: paired_interval(of(ranks), of(others), seed) for name, of in METRICS.items()})


def ranks_table(results: Mapping[str, TargetRanks]) -> Table:
    """A row per model: each metric with half the width of its interval."""
    table = Table(title="P1: next item, whole catalog, history excluded")
    table.add_column("model")
    for name in METRICS:
        table.add_column(name.upper(), justify="right")
    for model, ranks in results.items():
        found = evaluate_ranks(ranks)
        table.add_row(
            model,
            *(f"{found[name]:.4f} ±{(found[f'{name}_high'] - found[f'{name}_low']) / 2:.4f}" for name in METRICS),
        )
    return table


def _flat(intervals: Mapping[str, Interval]) -> dict[str, float]:
    result: dict[str, float] = {}
    for name, found in intervals.items():
        result |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
    return result
