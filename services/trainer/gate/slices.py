"""The parts of the traffic that a good mean can hide: newcomers, genres, the long tail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.spec import FeatureSpec
from services.trainer.gate.contest import Contest
from services.trainer.gate.paired import Difference, holm
from services.trainer.gate.verdict import Check

NEW_USER_EVENTS = 5
"""A user with no more events than this is new."""
SIGNIFICANCE = 0.05
"""Of the family of all slices together."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Finding:
    name: str
    found: Difference
    p: float


def slices_check(contest: Contest, spec: FeatureSpec) -> Check:
    """NDCG and log-loss in every slice with enough clicks; refused for one that is surely worse beyond the tolerance.

    p-values are one-sided and corrected for the number of slices by Holm's procedure.
    """
    config = contest.config
    findings = list(_findings(contest, spec))
    adjusted = holm([finding.p for finding in findings])
    figures = {finding.name: finding.found.mean for finding in findings}
    figures |= {f"{finding.name}_p": p for finding, p in zip(findings, adjusted, strict=True)}
    bad = [finding for finding, p in zip(findings, adjusted, strict=True) if p < SIGNIFICANCE]
    if bad:
        named = "; ".join(f"{finding.name} {finding.found}" for finding in bad[:3])
        return Check("slices", False, f"{named}, tolerated {config.slice_tolerance:.4f}", figures)
    counted = f"none of {len(findings)} slices is surely worse by more than {config.slice_tolerance:.4f}"
    return Check("slices", True, counted if findings else "no slice has enough clicks to be looked at", figures)


def _findings(contest: Contest, spec: FeatureSpec) -> Iterator[_Finding]:
    tolerance = contest.config.slice_tolerance
    for name, rows in slices(contest, spec):
        if _clicks(contest, rows) >= contest.config.slice_clicks:
            yield from _finding(f"{name}_ndcg", contest.ndcg_difference(rows, weighted=True), tolerance, contest)
        if _clicks(contest, rows & contest.newer) >= contest.config.slice_clicks:
            yield from _finding(f"{name}_log_loss", contest.log_loss_difference(rows), tolerance, contest)


def _finding(name: str, found: Difference | None, tolerance: float, contest: Contest) -> Iterator[_Finding]:
    if found is not None and found.users >= contest.config.min_users:
        yield _Finding(name, found, found.p_worse(tolerance))


def slices(contest: Contest, spec: FeatureSpec) -> Iterator[tuple[str, Mask]]:
    """Names and (M,) masks of rows."""
    columns = contest.examples.columns
    column = dict(zip(columns, contest.examples.features.T, strict=True))
    new = column["log_seen_count"] <= np.log1p(NEW_USER_EVENTS) + 1e-4
    yield from (("new_users", new), ("tenured_users", ~new))
    genre = column["genre_1"].astype(np.int64)
    rows = np.bincount(genre, minlength=len(spec.genre_vocabulary) + 1)[1:]
    for place in np.argsort(-rows, kind="stable")[: contest.config.genres].tolist():
        yield f"genre_{spec.genre_vocabulary[place].lower().replace(' ', '_')}", genre == place + 1
    yield from _popularity_bands(column["log_event_count"])


def _popularity_bands(events: NDArray[np.float32]) -> Iterator[tuple[str, Mask]]:
    known = np.isfinite(events)
    if known.any():
        low, high = np.quantile(events[known], [1 / 3, 2 / 3])
        yield "long_tail", known & (events <= low)
        yield "mid_tail", known & (events > low) & (events <= high)
        yield "head", known & (events > high)
    yield "items_without_events", ~known


def _clicks(contest: Contest, rows: Mask) -> int:
    return int(contest.clicked[rows].sum())
