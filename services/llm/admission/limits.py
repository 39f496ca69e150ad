"""Requests and tokens a minute, per key: two token buckets that hold a minute's worth and fill all the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from services.llm.admission.keys import VirtualKey
from services.llm.admission.refusals import Limited
from services.runtime.errors import TooLarge

Clock = Callable[[], float]


class Bucket:
    """Starts full. What is taken may make it owe: then nothing is to be had until it is filled again."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self.capacity = float(per_minute)
        self._rate = per_minute / 60
        self._clock = clock
        self._level = self.capacity
        self._filled_at = clock()

    def wait_for(self, amount: float) -> float:
        """Seconds until `amount`, at most the capacity, is there; 0 when it is."""
        now = self._clock()
        self._level = min(self.capacity, self._level + max(0.0, now - self._filled_at) * self._rate)
        self._filled_at = now
        return max(0.0, amount - self._level) / self._rate

    def take(self, amount: float) -> None:
        """Assumes that one may; a negative amount gives back."""
        self._level -= amount


class Grant:
    """A request that was let in, with the tokens it is expected to use."""

    __slots__ = ("_bucket", "_reserved")

    def __init__(self, bucket: Bucket | None, reserved: int) -> None:
        self._bucket = bucket
        self._reserved = reserved

    def settle(self, tokens: int) -> None:
        """What it really used; 0 for an answer from a cache or an error. Only the first call counts."""
        if self._bucket is not None:
            self._bucket.take(tokens - self._reserved)
            self._bucket = None


class Limits:
    """One pair of buckets for each key of the configuration, made at the start: memory does not grow with traffic."""

    def __init__(self, keys: Iterable[VirtualKey], clock: Clock = time.monotonic) -> None:
        self._buckets = {
            key.name: (
                Bucket(key.requests_per_minute, clock) if key.requests_per_minute else None,
                Bucket(key.tokens_per_minute, clock) if key.tokens_per_minute else None,
            )
            for key in keys
        }

    def admit(self, key: VirtualKey, tokens: int) -> Grant:
        """Takes one request and the estimated `tokens`, or neither: Limited says how long to wait, TooLarge that no
        waiting helps.
        """
        by_request, by_token = self._buckets[key.name]
        if by_token is not None and tokens > by_token.capacity:
            raise TooLarge(
                f"The request may need {tokens} tokens, and this key has {key.tokens_per_minute} a minute. "
                "Send a shorter prompt or a smaller max_tokens.",
                field="max_tokens",
            )
        if by_request is not None and (wait := by_request.wait_for(1)):
            raise Limited(
                f"This key may send {key.requests_per_minute} requests a minute. Try again in {wait:.1f} s.",
                "requests",
                wait,
            )
        if by_token is not None and (wait := by_token.wait_for(tokens)):
            raise Limited(
                f"This key has {key.tokens_per_minute} tokens a minute. Try again in {wait:.1f} s.", "tokens", wait
            )
        if by_request is not None:
            by_request.take(1)
        if by_token is not None:
            by_token.take(tokens)
        return Grant(by_token, tokens)
