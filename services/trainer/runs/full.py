"""A full run: the whole pipeline over the whole lake, told like every other run. It begins anew when it was killed."""

from __future__ import annotations

from services.runtime.errors import CascadeError
from services.trainer.pipeline import RETRIEVAL, Plan, train
from services.trainer.progress import Steps
from services.trainer.runs.folder import Runs
from services.trainer.runs.record import Run
from services.trainer.runs.telling import Telling


def train_fully(plan: Plan, steps: Steps, run: Run) -> Run:
    """Trains, publishes and promotes. Conflict while another process is at a run; what fails is written and raised."""
    runs = Runs(plan.data_dir)
    with runs.only("full run"):
        for earlier in runs.recent():
            if earlier.state == "running":
                earlier.end("failed", "Its process ended; a full run followed.")
                runs.write(earlier)
        try:
            versions = train(plan, Telling(runs, run, steps))
        except Exception as error:
            run.end("failed", error.sentence if isinstance(error, CascadeError) else f"{type(error).__name__}: {error}")
            raise
        else:
            run.versions = {**{name: versions[name] for name in RETRIEVAL}, "ranker": versions[plan.kinds[0]]}
            run.end("published")
        finally:
            if run.state != "running":
                runs.write(run)
                runs.sweep()
        return run
