"""How many tokens a call will need, from its characters alone: no tokenizer is asked before a call is admitted."""

from __future__ import annotations

from services.llm.calls import Generation

LETTERS_A_TOKEN = 3
"""English prose has 4 to 5 letters and spaces in a token of a byte-level BPE, other Latin languages about 3."""
TOKENS_A_MESSAGE = 8
"""The chat template's marks around a message, and its role."""
TOKENS_A_CALL = 40
"""The template's own system prompt, and the mark that asks for the answer."""

_LETTERS = bytes(range(ord("a"), ord("z") + 1)) + bytes(range(ord("A"), ord("Z") + 1)) + b" "


def tokens_in(text: str) -> int:
    """An estimate on the high side: 3 letters or spaces are a token, every other byte of UTF-8 is one."""
    data = text.encode("utf-8", "replace")
    others = len(data.translate(None, _LETTERS))
    return others + -(-(len(data) - others) // LETTERS_A_TOKEN)


def prompt_tokens(request: Generation) -> int:
    """The estimate for a whole prompt, for rate limits: they are corrected afterwards."""
    return _marks(request) + sum(map(tokens_in, _texts(request)))


def most_prompt_tokens(request: Generation) -> int:
    """What a prompt cannot exceed, for budgets: a token of a byte-level tokenizer has at least one byte."""
    return _marks(request) + sum(len(text.encode("utf-8", "replace")) for text in _texts(request))


def _texts(request: Generation) -> tuple[str, ...]:
    return (request.prompt,) if request.prompt is not None else tuple(message.content for message in request.messages)


def _marks(request: Generation) -> int:
    return TOKENS_A_CALL + TOKENS_A_MESSAGE * len(request.messages)
