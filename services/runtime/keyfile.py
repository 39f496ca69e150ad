"""Secrets of an installation: from the environment, else from a file only its owner can read, made when missing."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.runtime.errors import SettingsError


def read_or_create(path: Path, names: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Each name's secret: the environment's, else the file's, else a fresh one that is kept in the file (mode 0600).

    SettingsError when the file can neither be read nor written.
    """
    environment = os.environ if environment is None else environment
    try:
        kept = _read(path)
        found = {name: environment.get(name) or kept.get(name, "") for name in names}
        if not all(found.values()):
            found = {name: value or secrets.token_urlsafe(24) for name, value in found.items()}
            _write(path, kept | {name: value for name, value in found.items() if not environment.get(name)})
    except OSError as error:
        raise SettingsError(
            f"The keys in {path} cannot be read or written ({error.strerror}). Set {' and '.join(names)}."
        ) from error
    return found


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
