"""How the sources of candidates share the list, learned from what users turned to next.

    config = learn_shares(retriever, moments)         # moments that the retriever's models have not seen
    write_shares(folder / "two_tower", config)        # travels with the towers, to whoever serves them

Coordinate ascent: each source in turn tries other quotas and weights, and keeps what finds the next item more often
and earlier. The lists of the sources are asked for once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.artifact import read_manifest, seal
from services.retrieval.config import MANIFEST_KEY, RetrievalConfig, SourceShare
from services.retrieval.retriever import NO_IDS, Retriever
from services.trainer.moment import Moment
from services.trainer.overheard import Overheard

MOMENTS = 400
"""Moments that shares are learned from."""
CANDIDATES = 500
"""Length of the merged list, the gateway's default."""
QUOTAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.45)
WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0)
"""What is tried."""
_ROUNDS = 2
_FIXED = ("popularity", "fresh")
"""Kept as they are: they are there for users and items of whom the past says nothing."""


def learn_shares(
    retriever: Retriever, moments: Sequence[Moment], seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> RetrievalConfig:
    """The retriever's shares, bettered on a sample of the moments; as they are when there are none."""
    chosen = _sample([moment for moment in moments if not moment.user.is_cold], seed)
    tell = progress or (lambda done, planned: None)
    overheard, config = overhear(retriever, chosen), retriever.config
    if overheard is None:
        return config
    best = quality(config, overheard)
    names = [source.name for source in retriever.sources if source.name not in _FIXED]
    steps = [(name, field) for _ in range(_ROUNDS) for name in names for field in ("weight", "quota")]
    for done, (name, field) in enumerate(steps, 1):
        for tried in _changed(config, name, field):
            found = quality(tried, overheard)
            if found > best:
                config, best = tried, found
        tell(done, len(steps))
    return config


def write_shares(folder: Path, config: RetrievalConfig) -> None:
    """Into the manifest of a two_tower artifact that is not published yet."""
    manifest = read_manifest(folder)
    seal(folder, replace(manifest, config={**manifest.config, MANIFEST_KEY: asdict(config)}))


def quality(config: RetrievalConfig, overheard: Overheard) -> float:
    """How much of what came next the merged lists hold, plus how early: the mean of 1 and 1 / log2(1 + rank)."""
    ranks = overheard.target_ranks(config)
    return float(np.mean(np.isfinite(ranks) + 1.0 / np.log2(1.0 + ranks)))


def overhear(retriever: Retriever, moments: Sequence[Moment]) -> Overheard | None:
    """What the sources say at those of the moments whose item the catalog has; None when it has none of them."""
    targets = retriever.catalog.rows_of(np.array([moment.target for moment in moments], np.uint64)).tolist()
    known = [(moment, row) for moment, row in zip(moments, targets, strict=True) if row >= 0]
    if not known:
        return None
    said = [_said(retriever, moment) for moment, _ in known]
    names = [source.name for source in retriever.sources]
    return Overheard.of(names, CANDIDATES, said, [row for _, row in known])


def _changed(config: RetrievalConfig, name: str, field: str) -> Iterator[RetrievalConfig]:
    share = config.shares[name]
    for value in WEIGHTS if field == "weight" else QUOTAS:
        tried = replace(share, weight=value) if field == "weight" else _with_quota(share, value)
        shares = {**config.shares, name: tried}
        if sum(one.quota for one in shares.values()) <= 1.0:
            yield replace(config, shares=shares)


def _with_quota(share: SourceShare, quota: float) -> SourceShare:
    """A source must be asked for what its quota promises."""
    return replace(share, quota=quota, depth=max(share.depth, quota))


def _said(retriever: Retriever, moment: Moment) -> list[NDArray[np.int64]]:
    query = retriever.query(moment.user, NO_IDS, (), 0)
    return [source.propose(query, CANDIDATES).rows for source in retriever.sources]


def _sample(moments: Sequence[Moment], seed: int) -> list[Moment]:
    if len(moments) <= MOMENTS:
        return list(moments)
    places = np.random.default_rng(seed).choice(len(moments), MOMENTS, replace=False)
    return [moments[place] for place in sorted(places.tolist())]
