"""The semantic cache."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.sentence_encoder import SentenceEncoder
from services.llm.caches.semantic import Encoder, SemanticCache, SemanticConfig
from services.llm.calls import Generation, Message, Sampling
from tests.llm.caches.builders import Clock, ask, said

SYNONYMS = {"movie": "film", "suggest": "recommend", "children": "kids"}


class Words:
    """A sentence is the set of its words; a few synonyms are one."""

    def __init__(self) -> None:
        self.blocked = threading.Event()
        self.blocked.set()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.blocked.wait(10)
        rows = np.zeros((len(texts), 256), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[sum(SYNONYMS.get(word, word).encode()) % 256] = 1
        lengths: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / lengths


@asynccontextmanager
async def opened(
    encoder: Encoder | None = None, clock: Clock | None = None, **config: Any
) -> AsyncIterator[SemanticCache]:
    cache = SemanticCache(encoder or Words(), SemanticConfig(**{"threshold": 0.9, **config}), clock or Clock())
    try:
        yield cache
    finally:
        await cache.close()


async def learn(cache: SemanticCache, tenant: str, request: Generation, answer: str) -> None:
    question = await cache.ask(tenant, request)
    assert question is not None
    cache.keep(question, said(answer))


async def recall(cache: SemanticCache, tenant: str, request: Generation) -> str | None:
    question = await cache.ask(tenant, request)
    assert question is not None
    return None if question.found is None else question.found.text


async def test_the_same_in_other_words_has_the_answer() -> None:
    async with opened() as cache:
        await learn(cache, "shop", ask("recommend a heist movie"), "Heat.")
        question = await cache.ask("shop", ask("suggest a heist film"))
        assert question is not None
        assert question.found == said("Heat.")
        assert question.similarity == pytest.approx(1)
        assert await recall(cache, "shop", ask("recommend a horror movie")) is None


@pytest.mark.parametrize(
    ("tenant", "request_"),
    [
        ("other", ask("recommend a film")),
        ("shop", ask("recommend a film", model="n")),
        ("shop", ask("recommend a film", system="Be brief.")),
        ("shop", ask("recommend a film", max_tokens=9)),
        ("shop", ask("recommend a film", json_schema={})),
        ("shop", ask("recommend a film", temperature=0.5)),
        ("shop", Generation("m", prompt="recommend a film", sampling=Sampling(temperature=0))),
    ],
)
async def test_another_tenant_model_system_prompt_or_sampling_has_not(tenant: str, request_: Generation) -> None:
    async with opened() as cache:
        await learn(cache, "shop", ask("recommend a film"), "Heat.")
        assert await recall(cache, tenant, request_) is None
        assert await recall(cache, "shop", ask("recommend a film")) == "Heat."


async def test_near_vectors_with_other_facts_have_not() -> None:
    async with opened(threshold=0.5) as cache:
        await learn(cache, "shop", ask("a film from the year 1994 for kids"), "The Lion King.")
        assert await recall(cache, "shop", ask("a film from the year 1995 for kids")) is None
        assert await recall(cache, "shop", ask("a movie from the year 1994 for children")) == "The Lion King."


async def test_only_short_single_turns_without_logprobs_are_asked() -> None:
    turns = (Message("user", "a film"), Message("assistant", "Heat."), Message("user", "another"))
    async with opened(longest_question=20) as cache:
        for request in (
            Generation("m", turns),
            Generation("m", (Message("user", "be brief"), Message("user", "a film"))),
            ask("a film", logprobs=1),
            ask("a" * 21),
            ask("é" * 11),
            ask("  "),
        ):
            assert await cache.ask("shop", request) is None
        assert await cache.ask("shop", ask("é" * 10)) is not None


async def test_an_answer_has_its_time() -> None:
    clock = Clock()
    async with opened(clock=clock, seconds=60) as cache:
        await learn(cache, "shop", ask("a film"), "Heat.")
        clock.now = 59
        assert await recall(cache, "shop", ask("a film")) == "Heat."
        clock.now = 60
        assert await recall(cache, "shop", ask("a film")) is None
        await learn(cache, "shop", ask("a film"), "Ronin.")
        assert await recall(cache, "shop", ask("a film")) == "Ronin."


async def test_a_tenant_loses_its_own_least_recently_used_and_nobody_elses() -> None:
    async with opened(answers_per_tenant=2, answers=3) as cache:
        await learn(cache, "other", ask("apple"), "o")
        await learn(cache, "shop", ask("banana"), "1")
        await learn(cache, "shop", ask("cherry"), "2")
        assert await recall(cache, "shop", ask("banana")) == "1"
        await learn(cache, "shop", ask("damson"), "3")
        assert await recall(cache, "shop", ask("cherry")) is None
        assert await recall(cache, "shop", ask("banana")) == "1"
        assert await recall(cache, "other", ask("apple")) == "o"
        assert len(cache) == 3


async def test_all_tenants_together_are_bounded_and_leave_nothing_behind() -> None:
    async with opened(answers=5) as cache:
        for number in range(50):
            await learn(cache, f"tenant {number % 7}", ask("a film", model=f"m{number}"), "Heat.")
        assert len(cache) == len(cache._shelves) == sum(map(len, cache._used_by.values())) == 5
        assert len(cache._used_by) <= 5


async def test_an_answer_that_is_too_long_is_not_kept() -> None:
    async with opened(longest_answer=1500) as cache:
        await learn(cache, "shop", ask("a film"), "x" * 1000)
        assert len(cache) == 0


async def test_a_slow_encoder_costs_the_bounded_wait_and_no_more() -> None:
    encoder = Words()
    async with opened(encoder, wait_seconds=0.01) as cache:
        encoder.blocked.clear()
        assert [await cache.ask("shop", ask("a film")) for _ in range(5)] == [None] * 5
        encoder.blocked.set()


async def test_the_real_encoder_tells_paraphrases_from_other_questions() -> None:
    known = ["Recommend a funny heist movie", "What is the film Heat about?", "is the movie suitable for kids"]
    same = [
        "Can you recommend me a funny heist movie?",
        "Tell me what the film Heat is about",
        "is the movie suitable for children",
    ]
    other = ["Recommend a scary heist movie", "What is the film Ronin about?", "is the movie not suitable for kids"]
    async with opened(SentenceEncoder.load(), threshold=0.95, wait_seconds=10) as cache:
        for text in known:
            await learn(cache, "shop", ask(text), text)
        assert [await recall(cache, "shop", ask(text)) for text in same] == known
        assert [await recall(cache, "shop", ask(text)) for text in other] == [None] * 3
