"""Stages retrieval and ranker: challengers that start from the champions."""

from __future__ import annotations

import shutil
from dataclasses import replace

from services.trainer.catalog import item_table
from services.trainer.learning.fit import fit_challenger
from services.trainer.pipeline import with_index
from services.trainer.retrieval_models import fit_retrieval
from services.trainer.runs.gathering import split
from services.trainer.runs.job import Advance, Job, full_at, known_until
from services.trainer.runs.moments import Retraining
from services.trainer.tower_artifact import interests_of


def refit_retrieval(job: Job, advance: Advance) -> None:
    """Refits all three on every event but those the gate asks for, the towers from those of the champion."""
    out = job.draft("two_tower").parent
    shutil.rmtree(out, ignore_errors=True)
    known, champion = retraining(job).known, job.champions["two_tower"].folder
    # The interests are a choice of whoever trained the champion; weights for another number are no start.
    shape = replace(job.plan.towers.towers, interests=interests_of(champion))
    fit_retrieval(
        known,
        out,
        lineage=job.lineage("retrieval"),
        config=replace(job.plan.towers, towers=shape),
        seed=job.plan.seed,
        warm_start=champion,
        progress=advance,
        resources=job.plan.resources,
        checkpoint=job.folder / "checkpoints" / "two_tower",
    )
    with_index(out, item_table(known.items, known.events_frame()))


def refit_ranker(job: Job, advance: Advance) -> None:
    """Fits a challenger of the champion's kind on the examples."""
    out = job.draft("ranker")
    shutil.rmtree(out, ignore_errors=True)
    train, valid, _ = split(job)
    fit_challenger(
        train,
        valid,
        job.champions["ranker"].folder,
        out,
        job.plan.ranker,
        seed=job.plan.seed,
        lineage=job.lineage("ranker"),
        progress=advance,
    )


def retraining(job: Job) -> Retraining:
    """The lake as the run divides it; the same each time it is asked."""
    champion = job.champions["two_tower"]
    return Retraining.of(
        job.plan.lake, full_at(champion), known_until(champion), job.run.started, job.plan.seed, job.plan.gate.moments
    )
