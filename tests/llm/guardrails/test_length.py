"""How much a call may bring."""

from __future__ import annotations

import pytest

from services.llm.calls import Generation, Message
from services.llm.guardrails.config import GuardrailConfig
from services.llm.guardrails.length import check_length
from services.runtime.errors import TooLarge

CONFIG = GuardrailConfig(most_messages=3, longest_message=10, longest_call=20)


def chat(*lengths: int) -> Generation:
    return Generation("m", tuple(Message("user", "x" * length) for length in lengths))


@pytest.mark.parametrize("request_", [chat(), chat(10, 10), chat(7, 7, 6), Generation("m", prompt="x" * 10)])
def test_up_to_the_limits_all_is_taken(request_: Generation) -> None:
    check_length(request_, CONFIG)


@pytest.mark.parametrize(
    ("request_", "field", "sentence"),
    [
        (chat(1, 1, 1, 1), "messages", "4 entries; at most 3"),
        (chat(1, 11), "messages.1.content", "11 characters; at most 10"),
        (chat(10, 10, 1), "messages", "21 characters; at most 20"),
        (Generation("m", prompt="x" * 11), "prompt", "prompt has 11 characters; at most 10"),
    ],
)
def test_beyond_a_limit_the_field_is_named(request_: Generation, field: str, sentence: str) -> None:
    with pytest.raises(TooLarge, match=sentence) as refused:
        check_length(request_, CONFIG)
    assert refused.value.field == field
