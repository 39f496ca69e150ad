"""Prefix affinity: a prompt goes where the longest part of its beginning was read before, and lies in the prefix cache.

What a backend has seen is remembered as a chain of hashes over chunks of text, as a prefix cache names its KV blocks: a
chunk's key holds everything before it, so equal keys mean equal beginnings. The index is bounded like the cache it
stands for, and forgets the least recently used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

Keys = Sequence[int]


@dataclass(frozen=True, slots=True)
class AffinityConfig:
    """How much of a prompt must be known, and what balance is given up for it."""

    chunk: int = 128
    """Characters: about two KV blocks of 16 tokens."""
    least_match: int = 256
    """Characters that must be shared; less is not worth a detour. 0 switches affinity off."""
    longest_match: int = 16384
    """Characters that are looked at."""
    chunks_per_backend: int = 8192
    """Remembered of each backend: a mebibyte of text."""
    max_imbalance: int = 4
    """Calls in flight that the preferred backend may have above the least loaded one."""


def chunk_keys(text: str, config: AffinityConfig) -> Keys:
    """A key for each whole chunk of the text's beginning; none when affinity is off or the text is too short."""
    end = min(len(text), config.longest_match)
    if not config.least_match or end < config.least_match:
        return ()
    keys, before = [], 0
    for start in range(0, end - config.chunk + 1, config.chunk):
        # Python's hash is keyed anew in each process, and a collision would only cost a prefix hit.
        before = hash((before, text[start : start + config.chunk]))
        keys.append(before)
    return keys


class PrefixIndex:
    """The beginnings that one backend has read of late."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def match(self, keys: Keys) -> int:
        """How many of the first chunks it has read."""
        for place, key in enumerate(keys):
            if key not in self._keys:
                return place
        return len(keys)

    def note(self, keys: Keys) -> None:
        """It reads these now."""
        # From the end: a beginning is always younger than what continues it, so what is forgotten is an end.
        for key in reversed(keys):
            self._keys[key] = None
            self._keys.move_to_end(key)
        while len(self._keys) > self._most:
            self._keys.popitem(last=False)

    def clear(self) -> None:
        """It has been away: its cache may be empty."""
        self._keys.clear()
