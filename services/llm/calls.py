"""What a call for text is made of, between the wire, the backends and the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen, and when it ends."""

    max_tokens: int | None = None
    """Most tokens to generate; None: as many as the model's context leaves."""
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    """Nucleus: the smallest set of tokens whose probability reaches it."""
    seed: int | None = None
    """The same seed gives the same text, whatever else is in the batch."""
    stop: tuple[str, ...] = ()
    """Strings that end the text; they are not part of it."""
    logprobs: int | None = None
    """How many alternatives are reported beside each token; None reports no log-probabilities at all."""
    json_schema: Mapping[str, Any] | None = None
    """JSON Schema that the text satisfies; {} asks for any JSON object."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A call for text: a chat, or a prompt that is continued. Exactly one of the two is there."""

    model: str
    """The name the caller asked for; a backend is told its own name of it."""
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    priority: int = 0
    """Lower goes first."""

    @property
    def text(self) -> str:
        """Everything the model is to read, without the template of a chat: what affinity, caches and estimates see."""
        return self.prompt if self.prompt is not None else "\n".join(f"{m.role}: {m.content}" for m in self.messages)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A generated token, how likely it was, and what else was."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens whose keys and values were already there."""

    @property
    def total_tokens(self) -> int:
        """Read and written together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a stream. The last one has the reason and the usage; it may have no text."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    logprobs: tuple[TokenLogprob, ...] = ()
