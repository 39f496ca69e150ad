"""What a key is told that has asked for too much."""

from __future__ import annotations

from typing import Literal

from services.runtime.errors import TooMany

Limit = Literal["requests", "tokens", "budget"]


class Limited(TooMany):
    """A limit of the caller's key is reached. Without `retry_after` waiting does not help."""

    def __init__(self, sentence: str, limit: Limit, retry_after: float | None) -> None:
        super().__init__(sentence, retry_after=retry_after)
        self.limit = limit
