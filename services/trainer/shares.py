"""How the sources of candidates share the list, learned from what users turned to next.

    config = learn_shares(retriever, moments)         # moments that the retriever's models have not seen
    write_shares(folder / "two_tower", config)        # travels with the towers, to whoever serves them

Coordinate ascent: each source in turn tries other quotas and weights, and keeps what finds the next item more often
and earlier. The lists of the sources are asked for once; merging them again costs a fraction of a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.artifact import read_manifest, seal
from services.retrieval.config import MANIFEST_KEY, RetrievalConfig, SourceShare
from services.retrieval.merge import merge
from services.retrieval.retriever import NO_IDS, Retriever
from services.trainer.moment import Moment

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


@dataclass(frozen=True, slots=True)
class Proposed:
    """What every source said at one moment, and what came next."""

    rows: tuple[NDArray[np.int64], ...]
    """As many as the list is long, by source."""
    target: int


def learn_shares(
    retriever: Retriever, moments: Sequence[Moment], seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> RetrievalConfig:
    """The retriever's shares, bettered on a sample of the moments; as they are when there are none."""
    chosen = _sample([moment for moment in moments if not moment.user.is_cold], seed)
    tell = progress or (lambda done, planned: None)
    proposed = [_proposed(retriever, moment) for moment in chosen]
    proposed = [one for one in proposed if one.target >= 0]
    config = retriever.config
    if not proposed:
        return config
    best = quality(config, proposed, retriever)
    names = [source.name for source in retriever.sources if source.name not in _FIXED]
    steps = [(name, field) for _ in range(_ROUNDS) for name in names for field in ("weight", "quota")]
    for done, (name, field) in enumerate(steps, 1):
        for tried in _changed(config, name, field):
            found = quality(tried, proposed, retriever)
            if found > best:
                config, best = tried, found
        tell(done, len(steps))
    return config


def write_shares(folder: Path, config: RetrievalConfig) -> None:
    """Into the manifest of a two_tower artifact that is not published yet."""
    manifest = read_manifest(folder)
    seal(folder, replace(manifest, config={**manifest.config, MANIFEST_KEY: asdict(config)}))


def quality(config: RetrievalConfig, proposed: Sequence[Proposed], retriever: Retriever) -> float:
    """How much of what came next the merged lists hold, plus how early: the mean of 1 and 1 / log2(1 + rank)."""
    shares = [config.shares[source.name] for source in retriever.sources]
    gain = 0.0
    for one in proposed:
        merged = merge(
            [rows[: int(np.ceil(share.depth * CANDIDATES))] for rows, share in zip(one.rows, shares, strict=True)],
            [share.weight for share in shares],
            [int(share.quota * CANDIDATES) for share in shares],
            CANDIDATES,
            config.rank_offset,
        )
        place = np.flatnonzero(merged.rows == one.target)
        if place.size:
            gain += 1.0 + float(1.0 / np.log2(2.0 + place[0]))
    return gain / len(proposed)


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


def _proposed(retriever: Retriever, moment: Moment) -> Proposed:
    query = retriever.query(moment.user, NO_IDS, (), 0)
    rows = tuple(source.propose(query, CANDIDATES).rows for source in retriever.sources)
    return Proposed(rows, int(retriever.catalog.rows_of(np.array([moment.target], np.uint64))[0]))


def _sample(moments: Sequence[Moment], seed: int) -> list[Moment]:
    if len(moments) <= MOMENTS:
        return list(moments)
    places = np.random.default_rng(seed).choice(len(moments), MOMENTS, replace=False)
    return [moments[place] for place in sorted(places.tolist())]
