"""A small world, trained for real: what the tests of the whole stack start from."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from models.dlrm import DlrmConfig
from models.lambdamart import LambdaMartConfig
from services.ingest.bootstrap import fill_online_store
from services.trainer.data.imports import import_data
from services.trainer.data.synthetic import SyntheticConfig
from services.trainer.pipeline import Plan, train
from services.trainer.progress import Steps
from services.trainer.retrieval_models import RetrievalFitConfig
from services.trainer.tower_fit import TowerFitConfig

USERS, ITEMS = 200, 150


def small_plan(data_dir: Path) -> Plan:
    """A plan that is fitted in seconds."""
    return Plan(
        data_dir,
        "synthetic",
        test_users=40,
        retrieval=RetrievalFitConfig(fit=TowerFitConfig(epochs=1, held_out=40, negatives=64, threads=1)),
        rankers={
            "lambdamart": LambdaMartConfig(trees=20, leaves=7),
            "dlrm": DlrmConfig(epochs=1, batch_rows=1024),
        },
    )


def trained_world(data_dir: Path) -> dict[str, str]:
    """Synthetic events, every model, and a filled online store in `data_dir`; returns the published versions."""
    import_data("synthetic", data_dir, SyntheticConfig(users=USERS, items=ITEMS, events=6000, creators=20, days=60))
    versions = train(small_plan(data_dir), Steps(Console(quiet=True)))
    fill_online_store(data_dir)
    return versions
