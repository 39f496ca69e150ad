"""A slate from scored candidates: the rules in their order, each on what the one before it left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable
from services.reranker.config import SlateConfig
from services.reranker.pool import Places, Pool
from services.reranker.rules.caps import Cap, capped, fits
from services.reranker.rules.creator_cap import CreatorCap
from services.reranker.rules.diversity import diversity
from services.reranker.rules.exploration import exploration
from services.reranker.rules.freshness import freshness, is_fresh
from services.reranker.rules.genre_cap import GenreCap

RANKED, FRESH, EXPLORE = "ranked", "fresh", "explore"


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What one rule did."""

    rule: str
    kept: int
    """Candidates that passed it."""
    removed: Mapping[str, NDArray[np.uint64]]
    """Ids that lost their place by this rule, by reason; a relaxed cap is told as a reason without ids."""
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Slate:
    """M items to show, M = min(n, distinct candidates)."""

    ids: NDArray[np.uint64]
    """(M,) in slate order."""
    slots: tuple[str, ...]
    """(M,) how each got its place: ranked, fresh or explore."""
    propensities: NDArray[np.float32]
    """(M,) probability that this item came to this place."""
    reports: tuple[RuleReport, ...]
    """In the order the rules ran."""


def compose(
    ids: NDArray[np.uint64],
    scores: NDArray[np.float32],
    n: int,
    items: ItemTable,
    config: SlateConfig,
    *,
    seed: int = 0,
    now_days: float = 0.0,
) -> Slate:
    """The n items to show of N candidates in any order. Deterministic in its arguments.

    NaN scores rank last. Rules relax rather than return fewer than n items when there are n candidates. `now_days`,
    days since 1970, is what freshness measures from.
    """
    composer = _Composer(Pool.ordered(ids, scores, items), n, config)
    composer.diversify()
    composer.cap()
    composer.freshen(now_days)
    composer.explore(seed)
    return composer.slate()


@dataclass(slots=True)
class _Composer:
    """The list between the rules."""

    pool: Pool
    n: int
    config: SlateConfig
    order: Places = field(init=False)
    slots: dict[int, str] = field(default_factory=dict)
    """By place in the pool; those not in it are ranked."""
    last_propensity: float = 1.0
    reports: list[RuleReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.order = np.arange(len(self.pool))

    def diversify(self) -> None:
        config = self.config.diversity
        if not config.on:
            return
        started = time.perf_counter()
        outcome = diversity(
            self.pool, self.order, self.n, method=config.method, trade_off=config.trade_off, reach=config.reach
        )
        # Those displaced come next in line: a cap may yet need them.
        displaced = list(outcome.removed.values())
        self.order = np.concatenate([outcome.kept[: self.n], *displaced, outcome.kept[self.n :]])
        self._report("diversity", outcome.removed, started)

    def cap(self) -> None:
        caps = self._caps()
        if not caps:
            return
        started = time.perf_counter()
        result = capped(self.order, self.n, caps)
        self.order = result.kept
        for cap in caps:
            reasons = {reason: np.array(places) for reason, places in result.removed.get(cap.name, {}).items()}
            if back := result.relaxed.get(cap.name):
                reasons[f"relaxed for {len(back)} items: too few candidates"] = np.empty(0, np.int64)
            self._report(cap.name, reasons, started)

    def freshen(self, now_days: float) -> None:
        config = self.config.freshness
        if not config.on:
            return
        started = time.perf_counter()
        fresh = is_fresh(self.pool, now_days, config.max_age_days, config.max_events)
        outcome = freshness(self.order, self.n, fresh, self._fits(), at_least=config.at_least, reach=config.reach)
        came = outcome.kept[: self.n][~np.isin(outcome.kept[: self.n], self.order[: self.n])]
        self.slots.update(dict.fromkeys(came.tolist(), FRESH))
        self.order = outcome.kept
        self._report("freshness", outcome.removed, started)

    def explore(self, seed: int) -> None:
        config = self.config.exploration
        if not config.on or self.n < config.least_slate:
            return
        started = time.perf_counter()
        result = exploration(
            self.order, self.pool.scores, self.n, seed, self._fits(),
            rate=config.rate, reach=config.reach, policy=config.policy, temperature=config.temperature,
        )  # fmt: skip
        self.order = result.outcome.kept
        self.last_propensity = result.propensity
        if result.explored:
            self.slots[int(self.order[self.n - 1])] = EXPLORE
        self._report("exploration", result.outcome.removed, started)

    def slate(self) -> Slate:
        shown = self.order[: self.n]
        propensities = np.ones(shown.size, np.float32)
        if shown.size == self.n:
            propensities[-1] = self.last_propensity
        slots = tuple(self.slots.get(place, RANKED) for place in shown.tolist())
        return Slate(self.pool.ids[shown], slots, propensities, tuple(self.reports))

    def _caps(self) -> list[Cap]:
        """Strictest to give way last: a slate of one genre is better than a slate by one creator."""
        caps: list[Cap] = []
        if self.config.genre_cap.on:
            caps.append(GenreCap(self.pool, self.config.genre_cap.limit(self.n)))
        if self.config.creator_cap.on:
            caps.append(CreatorCap(self.pool, self.config.creator_cap.limit(self.n)))
        return caps

    def _fits(self) -> Callable[[Sequence[int], int], bool]:
        return partial(fits, self._caps())

    def _report(self, rule: str, removed: Mapping[str, Places], started: float) -> None:
        ids = {reason: self.pool.ids[places] for reason, places in removed.items()}
        gone = sum(places.size for places in removed.values())
        kept = len(self.pool) - gone
        self.reports.append(RuleReport(rule, kept, ids, (time.perf_counter() - started) * 1000))
