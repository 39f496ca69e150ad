"""Stage publish: challengers into the registry, those that passed on their way to the users."""

from __future__ import annotations

from services.runtime.errors import Conflict
from services.trainer.rollout.ledger import Ledger
from services.trainer.rollout.release import promote_release, start_release
from services.trainer.runs.job import PARTS, Job
from services.trainer.runs.judging import verdicts_of
from services.trainer.runs.vocabularies import Vocabularies

LONGEST_TAG = 2000
"""Characters of what is said about a version."""


def publish(job: Job, advance: object) -> None:
    """Registers every challenger with what the gate said, then releases those that passed. Again without harm.

    Nothing is released, and the run's reason says so, when a release is on its way by now.
    """
    verdicts = verdicts_of(job)
    for part in job.run.parts:
        passed = verdicts[part]["passed"]
        gate = "passed" if passed else f"refused: {' '.join(verdicts[part]['reasons'])}"
        for model in PARTS[part]:
            job.run.versions[model] = _published(job, model, gate[:LONGEST_TAG])
        if passed:
            job.run.releases = sorted({*job.run.releases, *PARTS[part]})
        job.runs.write(job.run)
    Vocabularies(job.plan.data_dir).remember(job.registry)
    released = {model: job.run.versions[model] for model in job.run.releases}
    known = Ledger(job.registry).settled().rollout
    # Killed right behind its release, a run finds it on its way, or decided already.
    if released and (known is None or dict(known.challengers) != released):
        try:
            (promote_release if job.plan.promote else start_release)(job.registry, released)
        except Conflict as busy:
            # Somebody began another release meanwhile. What was learned stays registered; the next run starts anew.
            job.run.releases, job.run.reason = [], busy.sentence


def refusals(job: Job) -> str:
    """Why the gate refused what it refused; empty when it refused nothing."""
    verdicts = verdicts_of(job)
    return " ".join(
        f"{part}: {' '.join(verdicts[part]['reasons'])}" for part in job.run.parts if not verdicts[part]["passed"]
    )


def _published(job: Job, model: str, gate: str) -> str:
    """The version of this run's model; a run that was killed here may have published it already."""
    for version in job.registry.versions(model):
        if version.tags.get("run") == job.run.run_id:
            return version.version
    return job.registry.publish(model, job.draft(model), tags={"run": job.run.run_id, "gate": gate})
