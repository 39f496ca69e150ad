"""What the language models do in the running stack: sentences about recommendations, searches, and OpenAI's REST."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
import pytest
from openai import OpenAI

from loadtests.compose import Compose
from tests.e2e.compose import needs_containers
from tests.e2e.steps import recommended, shown, until

LLM_URL = os.environ.get("CASCADE_E2E_LLM_URL", "")

pytestmark = [pytest.mark.e2e]


def explained(client: httpx.Client, recommendation_id: str) -> list[dict[str, Any]]:
    text = client.get(f"/v1/requests/{recommendation_id}/explanations", timeout=60.0).raise_for_status().text
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    return events[:-1]


def test_every_item_is_explained_in_its_place(client: httpx.Client, known_user: str) -> None:
    answer = recommended(client, known_user, n=3)
    told = explained(client, answer["recommendation_id"])
    assert [explanation["item_id"] for explanation in told] == shown(answer)
    assert all(explanation["sentence"].endswith(".") for explanation in told)


def test_a_search_is_read_and_found_by_its_words(client: httpx.Client) -> None:
    def found() -> bool:
        answer = client.post("/v1/search", json={"query": "a story about toys", "n": 20}).raise_for_status().json()
        return answer["query"]["by_words"] and any("Toy" in item["title"] for item in answer["items"])

    # The index is built after each start of retrieval.
    until(found, "a film about toys, found by words", deadline_s=120.0)


@needs_containers
@pytest.mark.skipif(not LLM_URL, reason="CASCADE_E2E_LLM_URL is not set.")
def test_openais_client_is_answered(compose: Compose) -> None:
    key = compose.run("exec", "-T", "llm", "cat", "/data/llm-key.env").strip().partition("=")[2]
    with OpenAI(api_key=key, base_url=f"{LLM_URL}/v1", timeout=60.0) as client:
        asked = client.chat.completions.create(
            model="smollm2",
            messages=[{"role": "user", "content": "What is the capital of France?"}],
            temperature=0,
            max_tokens=16,
        )
        assert "Paris" in (asked.choices[0].message.content or "")
        assert len(client.embeddings.create(model="minilm", input="a heist").data[0].embedding) == 384
