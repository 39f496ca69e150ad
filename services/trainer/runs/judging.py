"""Stage gate: the challengers against the champions they started from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.artifact import annotate
from services.trainer.catalog import item_table
from services.trainer.gate import Verdict, judge_ranker, judge_retrieval, show
from services.trainer.pipeline import RETRIEVAL
from services.trainer.runs.fitting import retraining
from services.trainer.runs.gathering import split
from services.trainer.runs.job import PARTS, Advance, Job

VERDICTS = "gate.json"
"""In the run's folder: part -> what the gate found."""


def judge(job: Job, advance: Advance) -> None:
    """Writes a verdict for each part, and its figures into the manifests."""
    verdicts: dict[str, Verdict] = {}
    for part in job.run.parts:
        verdicts[part] = _ranker(job, advance) if part == "ranker" else _retrieval(job, advance)
        show(job.console, verdicts[part])
        for model in PARTS[part]:
            annotate(job.draft(model), verdicts[part].metrics())
    draft = job.folder / f".{VERDICTS}"
    draft.write_text(json.dumps({part: verdict.to_json() for part, verdict in verdicts.items()}, indent=1))
    draft.replace(job.folder / VERDICTS)


def verdicts_of(job: Job) -> Mapping[str, Any]:
    """What `judge` wrote."""
    found: dict[str, Any] = json.loads((job.folder / VERDICTS).read_text())
    return found


def _ranker(job: Job, advance: Advance) -> Verdict:
    _, _, held_out = split(job)
    return judge_ranker(
        job.champions["ranker"].folder,
        job.draft("ranker"),
        held_out,
        job.plan.gate,
        seed=job.plan.seed,
        lake=job.plan.lake,
        progress=advance,
    )


def _retrieval(job: Job, advance: Advance) -> Verdict:
    divided = retraining(job)
    return judge_retrieval(
        {model: job.champions[model].folder for model in RETRIEVAL},
        {model: job.draft(model) for model in RETRIEVAL},
        item_table(divided.known.items, divided.known.events_frame()),
        divided.moments,
        job.plan.gate,
        seed=job.plan.seed,
        progress=advance,
    )
