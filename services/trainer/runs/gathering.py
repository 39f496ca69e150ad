"""Stage examples: what there is to learn from, and whether it is enough."""

from __future__ import annotations

import polars as pl

from services.runtime.errors import CascadeError
from services.trainer.data.lake import read_events
from services.trainer.examples.examples import Examples
from services.trainer.examples.join import read_examples
from services.trainer.examples.store import DatasetStore
from services.trainer.runs.folder import learned_until
from services.trainer.runs.job import Advance, Job, known_until
from services.trainer.runs.vocabularies import Vocabularies, fingerprint

DATASETS = 20
"""Newest datasets that are kept."""


class NothingToLearn(CascadeError):
    """Nothing came since the last run, or too little."""


def gather(job: Job, _: Advance) -> None:
    """Freezes the examples as a dataset and decides what is fitted. NothingToLearn when that is nothing."""
    examples = newest_examples(job)
    why = []
    earlier = job.runs.recent()
    if reason := _too_little(job, examples, learned_until(earlier, "ranker")):
        why.append(reason)
    else:
        job.run.parts.append("ranker")
        job.run.learned_us["ranker"] = int(examples.times_us.max())
        store = store_of(job)
        job.run.dataset, job.run.examples = store.save(examples), len(examples)
        store.prune(DATASETS)
    if job.plan.retrieval:
        newest = _newest_event(job)
        known = known_until(job.champions["two_tower"]).timestamp() * 1_000_000
        if newest > max(learned_until(earlier, "retrieval"), known):
            job.run.parts.append("retrieval")
            job.run.learned_us["retrieval"] = newest
        else:
            why.append("Nobody did anything since the retrieval models were fitted.")
    if not job.run.parts:
        raise NothingToLearn(" ".join(why))


def newest_examples(job: Job) -> Examples:
    """The ripe slates of the plan's period whose rows are of the champion's features."""
    ranker, known = job.champions["ranker"], Vocabularies(job.plan.data_dir).remember(job.registry)
    wanted = fingerprint(ranker.manifest.spec)
    started = job.run.started
    return read_examples(
        job.plan.lake,
        ranker.manifest.spec["columns"],
        lambda version: known.get(version) == wanted,
        since=started - job.plan.period,
        until=started,
        window=job.plan.reactions,
        ripe=job.plan.ripe,
    ).examples


def split(job: Job) -> tuple[Examples, Examples, Examples]:
    """The run's dataset by time: to learn from, to stop and calibrate by, and for the gate alone."""
    rest, held_out = store_of(job).load(job.run.dataset).split_newest(job.plan.held_out)
    train, valid = rest.split_newest(job.plan.valid)
    return train, valid, held_out


def store_of(job: Job) -> DatasetStore:
    """Where datasets are kept."""
    return DatasetStore(job.plan.data_dir / "datasets")


def _too_little(job: Job, examples: Examples, learned_us: int) -> str:
    clicks = examples.labels > 0
    if int(clicks.sum()) < job.plan.least_clicks:
        return f"{int(clicks.sum())} clicks are too few for a ranker: it learns from {job.plan.least_clicks} or more."
    if not (examples.times_us > learned_us).any():
        return "Nothing was shown since the ranker learned last."
    return ""


def _newest_event(job: Job) -> int:
    """When the newest event was that happened before the run began; 0 without any."""
    events = read_events(job.plan.lake).filter(pl.col("ts") < job.run.started)
    newest = events.select(pl.col("ts").dt.epoch("us").max()).item()
    return 0 if newest is None else int(newest)
