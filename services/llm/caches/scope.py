"""What makes two calls the same, for one tenant."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from services.llm.calls import Generation, Sampling


def is_deterministic(sampling: Sampling) -> bool:
    """Whether the same call gives the same text: greedy, or with a seed."""
    return sampling.temperature == 0 or sampling.seed is not None


def exact_key(tenant: str, request: Generation) -> bytes | None:
    """32 bytes that are equal for calls of one tenant that must have one answer; None for a call left to chance."""
    if not is_deterministic(request.sampling):
        return None
    messages = [(message.role, message.content) for message in request.messages]
    return digest(tenant, request.model, messages, request.prompt, _choices(request.sampling))


def digest(*parts: Any) -> bytes:
    """32 bytes of plain values. JSON keeps apart what is different: strings from numbers, one text from two."""
    return hashlib.blake2b(json.dumps(parts, separators=(",", ":")).encode(), digest_size=32).digest()


def sampling_digest(sampling: Sampling) -> bytes:
    """32 bytes that are equal when tokens are chosen in the same way."""
    return digest(_choices(sampling))


def _choices(sampling: Sampling) -> list[Any]:
    # Greedy text depends neither on the nucleus nor on the seed.
    chance = None if sampling.temperature == 0 else (sampling.temperature, sampling.top_p, sampling.seed)
    schema = None if sampling.json_schema is None else dict(sampling.json_schema)
    return [sampling.max_tokens, chance, sorted(sampling.stop), sampling.logprobs, schema]
