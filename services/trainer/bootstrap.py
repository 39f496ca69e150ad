"""The first step of a stack: models where none are published, features where none are stored; else nothing."""

from __future__ import annotations

from services.ingest.bootstrap import fill_online_store
from services.runtime.registry import CHAMPION, Registry
from services.trainer.kinds import kinds_of
from services.trainer.progress import Steps
from services.trainer.settings import TrainerSettings

SERVED = ("two_tower", "co_visitation", "popularity", "ease", "ranker")
"""Models without which nothing can be served."""


def bootstrap(settings: TrainerSettings, steps: Steps) -> None:
    """Trains and publishes unless every model has a champion, then fills the online store unless it is filled."""
    registry = Registry.open(settings.data_dir, settings.registry_url)
    if not all(registry.version_of(name, CHAMPION) for name in SERVED):
        from services.trainer.commands import retrieval_fit, show_models
        from services.trainer.compute import Resources
        from services.trainer.pipeline import Plan
        from services.trainer.runs.full import train_fully
        from services.trainer.runs.record import Run

        resources = Resources(settings.device, settings.processes)
        plan = Plan(
            settings.data_dir,
            settings.dataset,
            registry_url=settings.registry_url,
            kinds=kinds_of(settings.rankers),
            retrieval=retrieval_fit(0, settings.interests),
            resources=resources,
        )
        train_fully(plan, steps, Run.begin("full", "request"))
        show_models(steps.console, registry)
    with steps.step("online store: profiles and activity in Redis") as advance:
        fill_online_store(settings.data_dir, settings.redis_url, advance)
