"""How much a call may bring, before anything else looks at it."""

from __future__ import annotations

from services.llm.calls import Generation
from services.llm.guardrails.config import GuardrailConfig
from services.runtime.errors import TooLarge


def check_length(request: Generation, config: GuardrailConfig) -> None:
    """TooLarge names the field and the limit."""
    if len(request.messages) > config.most_messages:
        raise TooLarge(
            f"messages has {len(request.messages)} entries; at most {config.most_messages} are taken.", field="messages"
        )
    total = 0
    for place, message in enumerate(request.messages):
        total += len(message.content)
        _check(f"messages.{place}.content", len(message.content), config.longest_message)
    _check("messages", total, config.longest_call)
    if request.prompt is not None:
        _check("prompt", len(request.prompt), config.longest_message)


def _check(field: str, length: int, limit: int) -> None:
    if length > limit:
        raise TooLarge(f"{field} has {length} characters; at most {limit} are taken.", field=field)
