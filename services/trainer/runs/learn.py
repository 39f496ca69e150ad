"""A continuous run: examples, retrieval, ranker, gate, publish; each stage once, whatever kills the process.

    run = learn(LearnPlan(data_dir), Steps())
    run.state, run.reason, run.versions

After each stage run.json says so; a later `learn` finds the run unfinished and goes on behind it, on the same examples.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from services.runtime.errors import CascadeError, Conflict
from services.runtime.registry import CHAMPION, RegisteredVersion, Registry
from services.trainer.progress import Steps
from services.trainer.rollout.release import can_start
from services.trainer.runs.fitting import refit_ranker, refit_retrieval
from services.trainer.runs.folder import Runs
from services.trainer.runs.gathering import NothingToLearn, gather
from services.trainer.runs.job import PARTS, Advance, Job
from services.trainer.runs.judging import judge
from services.trainer.runs.plan import LearnPlan
from services.trainer.runs.publishing import publish, refusals
from services.trainer.runs.record import Run
from services.trainer.runs.telling import Telling

STAGES: Mapping[str, Callable[[Job, Advance], None]] = {
    "examples: shown items joined with what came of them": gather,
    "retrieval: refitted from the champion": refit_retrieval,
    "ranker: fitted on what was clicked": refit_ranker,
    "gate: challengers against champions": judge,
    "publish: versions registered and released": publish,
}
"""What a run does, by what is told of it; the name of the stage stands before the colon."""

STALE = timedelta(days=1)
"""A run that was begun so long ago is not gone on with."""


def learn(plan: LearnPlan, steps: Steps) -> Run:
    """Begins a run, or goes on with the one that was killed. Conflict while another process is at it, NothingToLearn
    when too little came since the last run; what else fails is written into the run and raised.
    """
    runs = Runs(plan.data_dir)
    with runs.only("continuous run"):
        registry = Registry.open(plan.data_dir, plan.registry_url)
        champions = {model: registry.resolve(model, CHAMPION) for models in PARTS.values() for model in models}
        run = _unfinished(plan, runs, champions)
        if run is None:
            if not plan.promote and (busy := can_start(registry)):
                raise Conflict(busy)
            run = _begun(plan, champions)
        run.pid = os.getpid()
        runs.write(run)
        try:
            _go_on(Job(plan, registry, runs, run, champions, steps.console), steps)
        except NothingToLearn as nothing:
            # Somebody who asked wants to know; the schedule would fill the list with it.
            run.end("refused", nothing.sentence)
            raise
        except Exception as error:
            run.end("failed", error.sentence if isinstance(error, CascadeError) else f"{type(error).__name__}: {error}")
            raise
        finally:
            if run.state == "refused" and not run.parts and run.trigger != "request":
                runs.remove(run)
            elif run.state != "running":
                runs.write(run)
            runs.sweep()
        return run


def _go_on(job: Job, steps: Steps) -> None:
    run = job.run
    telling = Telling(job.runs, run, steps)
    for text, stage in STAGES.items():
        name = text.partition(":")[0]
        if name in run.finished or (name in PARTS and name not in run.parts):
            continue
        with telling.step(text) as advance:
            stage(job, advance)
        run.finished.append(name)
        job.runs.write(run)
    run.end("published" if run.releases else "refused", " ".join(filter(None, (run.reason, refusals(job)))))


def _begun(plan: LearnPlan, champions: Mapping[str, RegisteredVersion]) -> Run:
    run = Run.begin("continuous", plan.trigger, plan.run_id)
    run.asked = plan.asked()
    run.champions = {model: champion.version for model, champion in champions.items()}
    return run


def _unfinished(plan: LearnPlan, runs: Runs, champions: Mapping[str, RegisteredVersion]) -> Run | None:
    """The run whose process was killed, if it still makes sense; those that do not are ended. Needs the lock."""
    found = None
    for run in runs.recent():
        if run.state != "running":
            continue
        if reason := _stale(run, plan, champions):
            run.end("failed", reason)
            runs.write(run)
        elif found is None:
            found = run
    return found


def _stale(run: Run, plan: LearnPlan, champions: Mapping[str, RegisteredVersion]) -> str:
    if run.kind != "continuous":
        return "Its process ended; full runs begin anew."
    if datetime.now(UTC) - run.started > STALE:
        return "Its process ended, and it was too old to go on with."
    if run.asked != plan.asked():
        return "Its process ended, and the next run was asked for something else."
    serving = {model: champion.version for model, champion in champions.items()}
    changed = [
        model
        for model, version in serving.items()
        if version not in (run.champions.get(model), run.versions.get(model))
    ]
    return f"Its process ended, and {', '.join(changed)} changed meanwhile." if changed else ""
