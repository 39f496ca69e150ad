"""The semantic cache: an answer is given again when the same tenant asks the same thing in other words.

question = await cache.ask(tenant, request)   # None: not for this cache
question.found                                # an answer, or None: then, once there is one,
cache.keep(question, completion)
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from services.llm.caches.answers import weight
from services.llm.caches.facts import Facts, facts
from services.llm.caches.scope import digest, sampling_digest
from services.llm.caches.shelf import Entry, Shelf, Vector
from services.llm.calls import Completion, Generation


class Encoder(Protocol):
    """Sentences to vectors."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, dimensions), each of length one. Called from one other thread."""
        ...


class SemanticConfig(BaseModel):
    """How near is near enough, and how much is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    threshold: float = Field(0.95, gt=0, le=1)
    """Least cosine between two sentences that may have one answer."""
    seconds: float = Field(3600, gt=0)
    """How long an answer is given again."""
    longest_question: int = Field(400, ge=1)
    """UTF-8 bytes: beyond some 250 tokens an encoder does not see the end of a sentence."""
    longest_answer: int = Field(16_384, ge=1024)
    """Bytes of memory an answer may take."""
    answers_per_tenant: int = Field(1000, ge=1)
    """The tenant's least recently used goes first."""
    answers: int = Field(10_000, ge=1)
    """Of all tenants together; with the two bytes above, the bound of the cache's memory."""
    wait_seconds: float = Field(0.25, gt=0)
    """How long a call waits for the vector of its sentence before it goes on without this cache."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a call asks, and the answer to the same thing where there is one."""

    tenant: str
    scope: bytes
    facts: Facts
    vector: Vector
    found: Completion | None
    similarity: float
    """Of what was found; 0 when nothing was."""


class SemanticCache:
    """Single-turn calls only. Two of them share an answer when tenant, model, system prompt and sampling are the same,
    so are the facts of their sentences, and their vectors are near. It belongs to one event loop.
    """

    def __init__(
        self, encoder: Encoder, config: SemanticConfig | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._encoder, self._config, self._clock = encoder, config or SemanticConfig(), clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="semantic-cache")
        self._shelves: dict[bytes, Shelf] = {}
        self._used: OrderedDict[Entry, None] = OrderedDict()
        self._used_by: defaultdict[str, OrderedDict[Entry, None]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        return len(self._used)

    async def ask(self, tenant: str, request: Generation) -> Question | None:
        """Looks for an answer; None when the call is not of the kind, or its vector takes too long."""
        sentence = self._sentence(request)
        if sentence is None:
            return None
        try:
            async with asyncio.timeout(self._config.wait_seconds):
                vector = await asyncio.get_running_loop().run_in_executor(self._thread, self._vector, sentence)
        except TimeoutError:
            return None
        system = [message.content for message in request.messages[:-1]]
        chat = request.prompt is None
        scope = digest(tenant, request.model, chat, system, sampling_digest(request.sampling).hex())
        return self._found(tenant, scope, facts(sentence), vector)

    def keep(self, question: Question, completion: Completion) -> None:
        """The answer, for those who ask the same after this."""
        if weight(completion) > self._config.longest_answer:
            return
        mine = self._used_by[question.tenant]
        if len(mine) >= self._config.answers_per_tenant:
            self._drop(next(iter(mine)))
        elif len(self._used) >= self._config.answers:
            self._drop(next(iter(self._used)))
        expires = self._clock() + self._config.seconds
        entry = Entry(question.tenant, question.scope, question.facts, completion, expires)
        shelf = self._shelves.setdefault(question.scope, Shelf(len(question.vector)))
        shelf.add(entry, question.vector)
        self._used[entry] = self._used_by[question.tenant][entry] = None

    async def close(self) -> None:
        """Ends the encoder's thread."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _sentence(self, request: Generation) -> str | None:
        roles = [message.role for message in request.messages]
        if request.sampling.logprobs is not None or (request.prompt is None and roles not in _SINGLE_TURNS):
            return None
        sentence = request.prompt if request.prompt is not None else request.messages[-1].content
        size = len(sentence.encode("utf-8", "replace"))
        return sentence if sentence.strip() and size <= self._config.longest_question else None

    def _vector(self, sentence: str) -> Vector:
        vector: Vector = self._encoder.encode([sentence])[0]
        return vector

    def _found(self, tenant: str, scope: bytes, asked: Facts, vector: Vector) -> Question:
        shelf, now = self._shelves.get(scope), self._clock()
        for entry, similarity in shelf.near(vector, self._config.threshold) if shelf is not None else ():
            if entry.facts == asked and now < entry.expires:
                self._used.move_to_end(entry)
                self._used_by[tenant].move_to_end(entry)
                return Question(tenant, scope, asked, vector, entry.completion, similarity)
        return Question(tenant, scope, asked, vector, None, 0.0)

    def _drop(self, entry: Entry) -> None:
        shelf = self._shelves[entry.scope]
        shelf.remove(entry)
        if not shelf.entries:
            del self._shelves[entry.scope]
        del self._used[entry]
        del self._used_by[entry.tenant][entry]
        if not self._used_by[entry.tenant]:
            del self._used_by[entry.tenant]


_SINGLE_TURNS = (["user"], ["system", "user"])
