"""API keys: one that reads, one that writes too. From the environment, else from a file only its owner can read."""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtime.errors import SettingsError

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
    environment = os.environ if environment is None else environment
    path = data_dir / KEYS_FILE
    try:
        kept = _read(path)
        found = {name: environment.get(name) or kept.get(name, "") for name in (READ_KEY, WRITE_KEY)}
        if not all(found.values()):
            made = {name: value or secrets.token_urlsafe(24) for name, value in found.items()}
            _write(path, kept | {name: made[name] for name in made if not environment.get(name)})
            found = made
    except OSError as error:
        raise SettingsError(
            f"The API keys in {path} cannot be read or written ({error.strerror}). Set {READ_KEY} and {WRITE_KEY}."
        ) from error
    return ApiKeys(found[READ_KEY], found[WRITE_KEY])


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _write(path: Path, keys: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in sorted(keys.items()))
        os.replace(draft, path)
    finally:
        Path(draft).unlink(missing_ok=True)
