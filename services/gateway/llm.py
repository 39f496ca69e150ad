"""The language model service as the gateway asks it. Nobody's recommendation waits for it."""

from __future__ import annotations

import orjson
from grpc.aio import Channel

from services.llm.calls import Generation
from services.pb import llm_pb2, llm_pb2_grpc
from services.runtime.client import call
from services.runtime.errors import Unavailable

PEER = "llm"


class Llm:
    """Its rpcs. Failures are errors of the tree, naming the service.

    await Llm(channel).complete(Generation("smollm2", messages), timeout=4.0)      # "The text."
    """

    def __init__(self, channel: Channel) -> None:
        self._stub = llm_pb2_grpc.LlmStub(channel)

    async def complete(self, generation: Generation, timeout: float) -> str:
        """The whole text within `timeout` seconds; Unavailable when another model than this one had to write it."""
        answer = await call(self._stub.Complete, request_of(generation), timeout=timeout, peer=PEER)
        if answer.model != generation.model:
            raise Unavailable(f"{generation.model} does not answer; {answer.model} stood in for it.")
        return answer.text


def request_of(generation: Generation) -> llm_pb2.GenerateRequest:
    """The call as the wire has it."""
    sampling = generation.sampling
    return llm_pb2.GenerateRequest(
        model=generation.model,
        messages=[llm_pb2.ChatMessage(role=m.role, content=m.content) for m in generation.messages],
        prompt=generation.prompt or "",
        max_tokens=sampling.max_tokens or 0,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
        stop=sampling.stop,
        json_schema="" if sampling.json_schema is None else orjson.dumps(sampling.json_schema).decode(),
        priority=generation.priority,
    )
