"""Calls and answers in one line."""

from __future__ import annotations

from typing import Any

from services.llm.calls import Completion, Generation, Message, Sampling, Usage


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(text: str = "Which film?", *, model: str = "m", system: str = "", **sampling: Any) -> Generation:
    """A greedy single-turn chat unless told otherwise."""
    turns = (Message("system", system),) if system else ()
    return Generation(model, (*turns, Message("user", text)), sampling=Sampling(**{"temperature": 0, **sampling}))


def said(text: str = "Heat.") -> Completion:
    """An answer that took ten tokens."""
    return Completion(text, "stop", Usage(8, 2))
