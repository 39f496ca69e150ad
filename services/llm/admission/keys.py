"""Virtual keys: each names a tenant and what it may do. Only hashes of their secrets are kept.

{"web": {"tenant": "shop", "secret": {"env": "CASCADE_LLM_KEY_WEB"}, "requests_per_minute": 600, "budget_usd": 5}}
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.runtime.errors import NotFound, SettingsError, Unauthenticated

Period = Literal["day", "month", "none"]

SHORTEST_SECRET = 16
"""Characters. Hashes without salt protect only what cannot be guessed."""
LONGEST_SECRET = 512
"""Characters of a presented key that are looked at."""


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class SecretPlace(_Described):
    """Where a key's secret is found: a variable, a line of a file, or nowhere: only its hash is told."""

    env: str | None = None
    """Environment variable that holds the secret."""
    file: Path | None = None
    """File of lines NAME=secret; `line` says which."""
    line: str | None = None
    """The NAME in that file."""
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", repr=False)
    """SHA-256 of the secret in hexadecimal."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(place is not None for place in (self.env, self.file, self.sha256)) != 1:
            raise ValueError("give exactly one of env, file (with line) and sha256")
        if (self.file is None) != (self.line is None):
            raise ValueError("file and line go together")
        return self

    def digest(self, environment: Mapping[str, str]) -> bytes:
        """SHA-256 of the secret; ValueError says what is missing, never what is there."""
        if self.sha256 is not None:
            return bytes.fromhex(self.sha256)
        if self.env is not None:
            return _digest_of(environment.get(self.env, ""), f"the variable {self.env}")
        if self.file is None or self.line is None:
            raise ValueError("file and line go together")
        try:
            lines = self.file.read_text().splitlines()
        except OSError as error:
            raise ValueError(f"{self.file} cannot be read ({error.strerror})") from error
        pairs = dict(line.split("=", 1) for line in lines if "=" in line)
        found = {name.strip(): secret.strip() for name, secret in pairs.items()}
        return _digest_of(found.get(self.line, ""), f"the line {self.line} of {self.file}")


class VirtualKey(_Described):
    """One caller of the gateway, as the configuration describes it."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")
    """What logs, metrics and bills call it."""
    tenant: str = Field(min_length=1, max_length=64)
    """Keys of one tenant share cached answers; no other key sees them."""
    models: frozenset[str] | None = None
    """Models it may name; None: all."""
    requests_per_minute: int | None = Field(None, ge=1)
    """None: as many as it likes."""
    tokens_per_minute: int | None = Field(None, ge=1)
    """Read and written together. None: as many as it likes."""
    budget_usd: float | None = Field(None, ge=0, le=1_000_000)
    """Most it may spend in a period. None: as much as it likes."""
    budget_period: Period = "month"
    """A day or a month in UTC; none: the budget is never refilled."""
    priority: int = 0
    """Lower goes first in the engine's queue."""
    guardrails: bool = True
    """Whether personal data is redacted and prompt injection is screened for."""

    def check_model(self, model: str) -> None:
        """NotFound for a model that this key may not name: it does not learn whether there is one."""
        if self.models is not None and model not in self.models:
            raise NotFound(f"There is no model {model[:64]!r} for this key. GET /v1/models lists them.", field="model")


class Keys:
    """All virtual keys. Looking one up takes the same time whatever was presented."""

    def __init__(self, keys: Mapping[bytes, VirtualKey]) -> None:
        """`keys` by the SHA-256 digest of their secrets."""
        self._keys = tuple(keys.items())

    @classmethod
    def read(cls, config: Mapping[str, Mapping[str, Any]], environment: Mapping[str, str] | None = None) -> Keys:
        """From the configuration, name -> fields; SettingsError names the key and the field that is wrong."""
        environment = os.environ if environment is None else environment
        keys: dict[bytes, VirtualKey] = {}
        for name, fields in config.items():
            try:
                given = dict(fields)
                digest = SecretPlace.model_validate(given.pop("secret", {})).digest(environment)
                key = VirtualKey.model_validate({"name": name, **given})
                if digest in keys:
                    raise ValueError(f"it has the secret of {keys[digest].name!r}")
            except (ValueError, TypeError) as error:
                raise SettingsError(f"The key {name!r} is wrong: {_sentence(error)}.", field=f"keys.{name}") from error
            keys[digest] = key
        return cls(keys)

    @property
    def all(self) -> tuple[VirtualKey, ...]:
        """In the order of the configuration."""
        return tuple(key for _, key in self._keys)

    def authenticate(self, presented: str) -> VirtualKey:
        """The key whose secret this is; Unauthenticated when there is none."""
        digest = hashlib.sha256(presented[:LONGEST_SECRET].encode("utf-8", "replace")).digest()
        found: VirtualKey | None = None
        # All are compared always, so that timing does not tell which one nearly matched.
        for expected, key in self._keys:
            if hmac.compare_digest(digest, expected):
                found = key
        if found is None:
            raise Unauthenticated("The API key is missing or wrong. Send it as 'Authorization: Bearer <key>'.")
        return found


def _digest_of(secret: str, place: str) -> bytes:
    if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
        raise ValueError(f"{place} must hold a secret of {SHORTEST_SECRET} to {LONGEST_SECRET} characters")
    return hashlib.sha256(secret.encode()).digest()


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return " · ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'secret'}: {problem['msg']}" for problem in error.errors()
        )
    return str(error)
