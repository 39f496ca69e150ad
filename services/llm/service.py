"""The process: OpenAI's REST on one port, gRPC for the gateway on another, one pipeline behind both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop

from services.llm.app import App
from services.llm.opened import opened
from services.llm.pipeline import Pipeline
from services.llm.servicer import LlmServicer
from services.llm.settings import LlmSettings
from services.llm.wire.routes import Routes
from services.pb import llm_pb2_grpc
from services.runtime.asgi import Listening, answering, bound
from services.runtime.logs import get_logger
from services.runtime.server import Door, Service

log = get_logger("llm")


@asynccontextmanager
async def listening(settings: LlmSettings) -> AsyncIterator[tuple[Pipeline, Listening]]:
    """Loads the models and answers REST."""
    with bound(settings.host, settings.rest_port, "CASCADE_LLM_REST_PORT") as listener:
        async with opened(settings) as pipeline:
            app = App(Routes(pipeline), settings.body_bytes, settings.concurrent_requests)
            async with answering(app, listener, settings.drain_seconds) as rest:
                log.info("answers REST", address=rest.address)
                yield pipeline, rest


@asynccontextmanager
async def build(settings: LlmSettings) -> AsyncIterator[Door]:
    """REST answers already; gRPC follows when this is ready."""
    async with listening(settings) as (pipeline, rest):
        servicer = LlmServicer(pipeline)
        yield Door(
            lambda server: llm_pb2_grpc.add_LlmServicer_to_server(servicer, server),
            ("cascade.Llm",),
            failed=rest.ended,
        )


SERVICE = Service("llm", LlmSettings, build, loop=uvloop.new_event_loop)
