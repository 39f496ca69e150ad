"""What the client's process is asked to do, and what it saw: plain values that travel as lines of JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import orjson

MODEL = "small"
"""What the bench calls the one model, at every peer."""
WORDS = 6
"""Of an answer, unless a plan wants more."""
NO_STATUS = "none"
"""Stands for a status where no answer came."""

SYSTEM = "You explain film recommendations. Say in one sentence, in plain words, why the film fits. Use only the facts."
QUESTION = (
    "Film number {number}, a heist comedy from 1998. The viewer liked two heist films and a comedy this week. "
    "Reasons by the ranker: shares the director of a film that was liked; often watched together with it. Why this one?"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One round of calls."""

    url: str
    """http://host:port of the peer."""
    key: str
    calls: int
    rate: float = 0.0
    """Calls a second, sent whether or not answers come; 0: `clients` that each wait for their answer."""
    clients: int = 1
    first: int = 0
    """Number of the first prompt: prompts differ by their numbers, so no cache answers."""
    same: bool = False
    """All calls are equal."""
    stream: bool = False
    max_tokens: int = WORDS
    timeout: float = 30.0
    """Seconds for one call."""

    def body(self, place: int) -> bytes:
        """The call at a place of the round."""
        number = self.first if self.same else self.first + place
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": QUESTION.format(number=number)},
        ]
        call: dict[str, Any] = {"model": MODEL, "messages": messages, "max_tokens": self.max_tokens, "temperature": 0}
        return orjson.dumps(call | ({"stream": True} if self.stream else {}))

    @property
    def line(self) -> bytes:
        """For the client's process."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Plan:
        """The other way round."""
        return cls(**orjson.loads(line))


Fate = Literal["whole", "broke_off", "restarted"]


@dataclass(slots=True)
class Seen:
    """What came of a round."""

    seconds: float = 0.0
    """From the first call to the last answer."""
    milliseconds: list[float] = field(default_factory=list)
    """Of each call that was answered with 200, to its last byte."""
    first_milliseconds: list[float] = field(default_factory=list)
    """Of each stream, to the first byte of its body."""
    statuses: dict[str, int] = field(default_factory=dict)
    streams: dict[Fate, int] = field(default_factory=dict)
    """How streams that began went on."""
    prompt_tokens: int = 0
    """By the answers' own usage."""
    completion_tokens: int = 0
    complaint: str = ""
    """The first answer other than 200, or what went wrong with the first that never came."""

    @property
    def failed(self) -> int:
        """Calls that were not answered with 200."""
        return sum(self.statuses.values()) - self.statuses.get("200", 0)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.milliseconds) / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """Milliseconds of a whole call; NaN for none."""
        return quantile(self.milliseconds, share)

    @property
    def line(self) -> bytes:
        """For whoever asked."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Seen:
        """The other way round."""
        return cls(**orjson.loads(line))


def quantile(values: list[float], share: float) -> float:
    """NaN for no values."""
    return float(np.quantile(values, share)) if values else float("nan")


def median(values: list[float]) -> float:
    """NaN for no values."""
    return quantile(values, 0.5)


def fate_of(text: str, ended: bool) -> Fate:
    """How a stream went whose words are name-0 name-1 …: all of one upstream's name, each once, unless it was begun
    again. One that broke off may end within a word.
    """
    name = text.partition("-")[0]
    expected = "".join(f"{name}-{place} " for place in range(text.count("-") + 1))
    if not expected.startswith(text):
        return "restarted"
    return "whole" if ended else "broke_off"
