"""The outermost layer: what is let in at once."""

from __future__ import annotations

import asyncio
from typing import cast

from starlette.types import Message

from services.llm.app import App
from services.llm.wire.exchange import Exchange
from services.llm.wire.routes import Handler, Routes


class Waiting:
    """Routes whose handlers wait until they are let go."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.let_in: list[str] = []

    def of(self, method: str, path: str) -> tuple[str, Handler]:
        async def handle(exchange: Exchange) -> None:
            self.let_in.append(path)
            await self.go_on.wait()
            await exchange.json(200, {})

        return path, handle


async def test_a_health_check_while_all_is_taken_lets_nobody_else_in() -> None:
    routes, statuses = Waiting(), list[int]()
    app = App(cast(Routes, routes), body_bytes=1024, concurrent=1)

    async def receive() -> Message:
        return await asyncio.Event().wait()  # type: ignore[return-value]  # never comes

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    def asked(path: str) -> asyncio.Task[None]:
        return asyncio.create_task(app({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send))

    tasks = []
    for path in ("/v1/models", "/health/live", "/v1/usage"):
        tasks.append(asked(path))
        await asyncio.sleep(0)
    assert routes.let_in == ["/v1/models", "/health/live"]
    assert statuses == [429]
    routes.go_on.set()
    await asyncio.gather(*tasks)
    assert statuses == [429, 200, 200]
