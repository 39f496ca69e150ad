"""What the guardrails do; the section [guardrails] of the configuration."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from services.llm.guardrails.pii import Kind

EVERY_KIND: frozenset[Kind] = frozenset(get_args(Kind))


class GuardrailConfig(BaseModel):
    """For all keys whose `guardrails` are on. Lengths are bounded for everybody."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    redact_in: frozenset[Kind] = EVERY_KIND
    """Personal data that no model gets to read."""
    redact_out: frozenset[Kind] = EVERY_KIND
    """Personal data that no caller gets to read."""
    injection: Literal["refuse", "flag", "off"] = "refuse"
    """What happens to a call that tries to give the model other orders: 400, a finding, or nothing."""
    injection_threshold: float = Field(1.0, gt=0)
    """Score from which a text is taken for an injection; see injection.py for what weighs how much."""
    most_messages: int = Field(200, ge=1)
    """In one chat."""
    longest_message: int = Field(100_000, ge=1)
    """Characters of one message, or of a prompt."""
    longest_call: int = Field(400_000, ge=1)
    """Characters of all messages together."""
