"""OpenAI's requests, as far as they can be honoured. What would change the answer and cannot be is refused, by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from services.llm.calls import Generation, Message, Role, Sampling
from services.runtime.errors import InvalidArgument

R = TypeVar("R", bound=BaseModel)

MOST_STOPS = 4
MOST_TOP_LOGPROBS = 20
MOST_TEXTS = 256
"""Sentences of one call for vectors."""

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_NOT_SERVED = {
    "tools": None, "functions": None, "tool_choice": None, "function_call": None, "logit_bias": None, "audio": None,
    "modalities": ["text"], "n": 1, "best_of": 1, "frequency_penalty": 0, "presence_penalty": 0, "echo": False,
    "suffix": None,
}  # fmt: skip
"""Fields that nothing here honours, with the one value that asks for nothing."""


class _Request(BaseModel):
    """Unknown fields are left out, as clients send hints of many kinds; those of _NOT_SERVED are refused."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: ModelName

    @model_validator(mode="before")
    @classmethod
    def _served(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name, neutral in _NOT_SERVED.items():
                if name in data and data[name] not in (neutral, None, [], {}):
                    raise ValueError(f"{name} is not served here; leave it out")
        return data


class StreamOptions(BaseModel):
    """What a stream tells beside the text."""

    include_usage: bool = False


class JsonSchema(BaseModel):
    """`response_format.json_schema`."""

    name: str = "answer"
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(BaseModel):
    """`response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @property
    def schema_asked(self) -> dict[str, Any] | None:
        """The schema the answer must satisfy, {} for any object, None for plain text."""
        if self.type == "text":
            return None
        return self.json_schema.schema_ if self.json_schema is not None else {}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema must be there when type is json_schema")
        return self


class _Generate(_Request):
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...] = Field((), max_length=MOST_STOPS)
    stream: bool = False
    stream_options: StreamOptions | None = None
    priority: int = Field(0, ge=-100, le=100)
    """As vLLM has it: lower goes first."""
    response_format: ResponseFormat | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value or ()

    @field_validator("temperature", "top_p", mode="before")
    @classmethod
    def _default(cls, value: Any) -> Any:
        return 1.0 if value is None else value

    @field_validator("stream", "priority", mode="before")
    @classmethod
    def _nothing(cls, value: Any) -> Any:
        return value or 0

    @property
    def include_usage(self) -> bool:
        """Whether a stream tells its usage at the end."""
        return self.stream_options is not None and self.stream_options.include_usage

    def _sampling(self, max_tokens: int | None, logprobs: int | None) -> Sampling:
        wanted = self.response_format
        return Sampling(
            max_tokens=max_tokens, temperature=self.temperature, top_p=self.top_p, seed=self.seed, stop=self.stop,
            logprobs=logprobs, json_schema=None if wanted is None else wanted.schema_asked,
        )  # fmt: skip


class TextPart(BaseModel):
    """A part of a message; only text is read."""

    type: Literal["text"]
    text: str


class ChatTurn(BaseModel):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def message(self) -> Message:
        """The message with its parts joined."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message(_ROLES[self.role], text)


class ChatRequest(_Generate):
    """POST /v1/chat/completions."""

    messages: list[ChatTurn] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = False
    top_logprobs: int | None = Field(None, ge=0, le=MOST_TOP_LOGPROBS)

    @property
    def generation(self) -> Generation:
        """The call this asks for."""
        logprobs = (self.top_logprobs or 0) if self.logprobs else None
        sampling = self._sampling(self.max_completion_tokens or self.max_tokens, logprobs)
        messages = tuple(turn.message for turn in self.messages)
        return Generation(self.model, messages, sampling=sampling, priority=self.priority)


class CompletionRequest(_Generate):
    """POST /v1/completions."""

    prompt: str
    max_tokens: int | None = Field(16, ge=1)
    logprobs: int | None = Field(None, ge=0, le=MOST_TOP_LOGPROBS)

    @field_validator("prompt", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    @property
    def generation(self) -> Generation:
        """The call this asks for."""
        sampling = self._sampling(self.max_tokens, self.logprobs)
        return Generation(self.model, prompt=self.prompt, sampling=sampling, priority=self.priority)


class EmbeddingsRequest(_Request):
    """POST /v1/embeddings."""

    input: list[str] = Field(min_length=1, max_length=MOST_TEXTS)
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


def parse(kind: type[R], body: bytes) -> R:
    """The request in a body; InvalidArgument names the first field that is wrong."""
    try:
        return kind.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"The body is not JSON: {error}.", field="body") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])[:100] or "body"
        message = str(first["msg"]).removeprefix("Value error, ")[:300]
        raise InvalidArgument(f"{place}: {message}.", field=place) from None
