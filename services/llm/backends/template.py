"""template://: an answer that needs no model. It is the end of every chain of fallbacks, and cannot fail for text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import numpy as np
import numpy.typing as npt
import orjson

from services.llm.backends.instance import smallest_instance
from services.llm.calls import Completion, FinishReason, Generation, Piece, Usage
from services.runtime.errors import DeadlineExceeded, InvalidArgument, Unavailable

MAX_QUOTE = 160
"""Characters of the question that the answer repeats."""
SENTENCE = "No language model can answer at the moment, so this was written by rule."


class TemplateBackend:
    """Says by rule that no model answers and quotes the question, or gives the smallest instance of a JSON schema.

    A token is a word here. There are no log-probabilities: nothing was likely.
    """

    def __init__(self) -> None:
        self._closed = False

    async def complete(self, request: Generation, timeout: float) -> Completion:
        """The same answer for the same call."""
        self._check(timeout)
        words, reason = _answer(request)
        return Completion("".join(words), reason, _usage(request, words))

    async def stream(self, request: Generation, timeout: float) -> AsyncGenerator[Piece, None]:
        """A word a piece."""
        self._check(timeout)
        words, reason = _answer(request)
        for word in words:
            yield Piece(word)
        yield Piece(finish_reason=reason, usage=_usage(request, words))

    async def embed(self, model: str, texts: Sequence[str], timeout: float) -> tuple[npt.NDArray[np.float32], int]:
        """Never: a made-up vector would be worse than none."""
        raise InvalidArgument(
            f"{model} is a template and has no vectors. Ask for a model of embeddings.", field="model"
        )

    async def ready(self) -> bool:
        """Until it is closed."""
        return not self._closed

    async def close(self) -> None:
        """Answers nothing from here on."""
        self._closed = True

    def _check(self, timeout: float) -> None:
        if self._closed:
            raise Unavailable("The template is closed.")
        if timeout <= 0:
            raise DeadlineExceeded("No time was left for an answer, not even by rule.")


def _answer(request: Generation) -> tuple[list[str], FinishReason]:
    schema = request.sampling.json_schema
    text = _said(request) if schema is None else orjson.dumps(smallest_instance(schema)).decode()
    for stop in request.sampling.stop:
        text = text.partition(stop)[0] if stop else text
    words, limit = _words(text), request.sampling.max_tokens
    if limit is not None and limit < len(words):
        return words[:limit], "length"
    return words, "stop"


def _said(request: Generation) -> str:
    users = [message.content for message in request.messages if message.role == "user"]
    question = _shortened(request.prompt if request.prompt is not None else users[-1] if users else "")
    return f'{SENTENCE} You asked: "{question}"' if question else SENTENCE


def _shortened(text: str) -> str:
    # Only the beginning is looked at: a question may be as long as a book.
    words = text[: 4 * MAX_QUOTE].split()
    short = " ".join(words)
    if len(short) <= MAX_QUOTE and len(text) <= 4 * MAX_QUOTE:
        return short
    return short[:MAX_QUOTE].rpartition(" ")[0] + " …" if " " in short[:MAX_QUOTE] else short[:MAX_QUOTE] + "…"


def _words(text: str) -> list[str]:
    """The text in pieces that begin with a word's space, and give the text when they are joined."""
    return [word if place == 0 else " " + word for place, word in enumerate(text.split(" "))] if text else []


def _usage(request: Generation, words: Sequence[str]) -> Usage:
    return Usage(len(request.text.split()), len(words))
