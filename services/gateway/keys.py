"""API keys: one that reads, one that writes too. From the environment, else from a file only its owner can read."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtime.keyfile import read_or_create

READ_KEY = "CASCADE_READ_KEY"
WRITE_KEY = "CASCADE_WRITE_KEY"
KEYS_FILE = "api-keys.env"


@dataclass(frozen=True, slots=True, repr=False)
class ApiKeys:
    """The two keys. Comparisons take the same time whatever the guess."""

    read: str
    write: str

    def may_read(self, key: str) -> bool:
        """True for either key."""
        # Both are compared always, so that timing does not tell which one nearly matched.
        return _same(key, self.read) | _same(key, self.write)

    def may_write(self, key: str) -> bool:
        """True for the write key."""
        return _same(key, self.write)


def read_or_create_keys(data_dir: Path, environment: Mapping[str, str] | None = None) -> ApiKeys:
    """The keys of an installation: the environment's, else those in `data_dir`/api-keys.env, which is created with
    fresh ones (mode 0600) where they are missing.
    """
    found = read_or_create(data_dir / KEYS_FILE, (READ_KEY, WRITE_KEY), environment)
    return ApiKeys(found[READ_KEY], found[WRITE_KEY])


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
