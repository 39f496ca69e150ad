"""A language model that says what a test tells it to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from services.pb import llm_pb2, llm_pb2_grpc
from tests.gateway.switches import Switches


class LlmPeer(llm_pb2_grpc.LlmServicer):
    def __init__(self) -> None:
        self.switches = Switches()
        self.says: Callable[[str], str] = lambda asked: "I do not know."
        """Prompt, or last message of the user -> text."""
        self.answers_as = ""
        """The model that answers in another's place."""

    async def Complete(self, request: llm_pb2.GenerateRequest, context: Any) -> llm_pb2.GenerateResponse:
        await self.switches.applied(request, context)
        asked = request.messages[-1].content if request.messages else request.prompt
        return llm_pb2.GenerateResponse(
            text=self.says(asked), finish_reason="stop", model=self.answers_as or request.model
        )

    async def Generate(self, request: llm_pb2.GenerateRequest, context: Any) -> AsyncIterator[llm_pb2.GeneratedPiece]:
        raise NotImplementedError("The gateway never asks for this.")
        yield

    async def Embed(self, request: llm_pb2.EmbedRequest, context: Any) -> llm_pb2.EmbedResponse:
        raise NotImplementedError("The gateway never asks for this.")

    async def ListModels(self, request: llm_pb2.ListLanguageModels, context: Any) -> llm_pb2.ModelList:
        raise NotImplementedError("The gateway never asks for this.")
