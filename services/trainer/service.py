"""The door of the trainer as a service: nothing to call but the health check, and a schedule that trains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.runtime.registry import Registry
from services.runtime.server import Door, Service
from services.trainer.schedule import Schedule, command, following
from services.trainer.settings import TrainerSettings


@asynccontextmanager
async def build(settings: TrainerSettings) -> AsyncIterator[Door]:
    """Follows the schedule until the block ends."""
    registry = await asyncio.to_thread(Registry.open, settings.data_dir, settings.registry_url)
    schedule = Schedule(registry, settings)
    async with following(schedule, command(settings), settings.retry_minutes * 60) as training:
        yield Door(add=lambda server: None, services=(), failed=training)


SERVICE = Service("trainer", TrainerSettings, build)
