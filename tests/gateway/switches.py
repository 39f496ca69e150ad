"""How a peer of the gateway misbehaves, when a test says so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import grpc

from services.runtime.errors import CascadeError


@dataclass
class Switches:
    """How a peer misbehaves."""

    slow: bool = False
    """Never answers within anybody's deadline."""
    error: CascadeError | None = None
    wrong: bool = False
    """Answers something that does not fit the question."""
    requests: list[Any] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)

    async def applied(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self.requests.append(request)
        self.metadata.append({str(key): str(value) for key, value in context.invocation_metadata() or ()})
        if self.slow:
            await asyncio.Event().wait()
        if self.error is not None:
            await context.abort(self.error.code, self.error.sentence)
