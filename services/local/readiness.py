"""Waiting for a program to say that it is ready."""

from __future__ import annotations

import asyncio

from services.local.layout import Program
from services.runtime.probe import is_ready

BETWEEN_SECONDS = 0.1


async def wait_ready(program: Program) -> None:
    """Returns when the program says it is ready; bound it with asyncio.timeout."""
    while True:
        if await is_ready(program.url):
            return
        await asyncio.sleep(BETWEEN_SECONDS)
