"""A backend is a URL: which one is opened is its scheme."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from yarl import URL

from services.llm.backends.backend import Backend
from services.llm.backends.openai import OpenAIBackend
from services.llm.backends.template import TemplateBackend
from services.runtime.errors import SettingsError

if TYPE_CHECKING:
    from services.llm.engine.config import EngineConfig
    from services.llm.engine.observer import EngineObserver

SENTENCES = "minilm"
"""The model in this process that makes vectors."""
HTTP_SCHEMES = {"openai": "http", "openais": "https"}


@dataclass(frozen=True, slots=True)
class Opening:
    """What opening a backend needs besides its URL."""

    key_env: str | None = None
    """Environment variable that holds the upstream's key; None: it wants none. The key itself is in no setting."""
    max_connections: int = 256
    """To one upstream; a call that finds none free waits for it."""
    engine: EngineConfig | None = None
    """For native://; None: its defaults."""
    observer: EngineObserver | None = None
    """Told what the engine of native:// does, in the engine's thread."""


def open_backend(url: str, opening: Opening | None = None) -> Backend:
    """openai://host[:port]/v1 (http), openais://… (https), native://smollm2, native:///folder, native://minilm or
    template://.

    To be called inside a running event loop. SettingsError for any other URL, and when the key's variable is not set.
    """
    opening, parts = opening or Opening(), urlsplit(url)
    if parts.scheme in HTTP_SCHEMES:
        return OpenAIBackend(_base(url, parts), key=_key(opening), max_connections=opening.max_connections)
    if parts.scheme == "native":
        return _open_native(url, opening)
    if parts.scheme == "template":
        return TemplateBackend()
    raise SettingsError(
        f"{url!r} is no backend: it must begin with openai://, openais://, native:// or template://.", field="url"
    )


def _base(url: str, parts: SplitResult) -> URL:
    try:
        wrong = parts.port == 0 or not parts.hostname
    except ValueError:
        wrong = True
    if parts.username is not None or parts.password is not None:
        # The URL is not repeated: it holds a secret.
        raise SettingsError("A backend's URL must hold no key; name an environment variable instead.", field="url")
    if wrong or parts.query or parts.fragment or not parts.path.rstrip("/").endswith("/v1"):
        raise SettingsError(f"A backend's URL must look like openai://host:8000/v1, not {url!r}.", field="url")
    return URL(f"{HTTP_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}")


def _key(opening: Opening) -> str:
    if opening.key_env is None:
        return ""
    key = os.environ.get(opening.key_env, "").strip()
    if not key:
        raise SettingsError(f"Set {opening.key_env} to the upstream's key.", field=opening.key_env)
    return key


def _open_native(url: str, opening: Opening) -> Backend:
    # Only who serves a model of its own pays for importing torch or onnxruntime.
    if url.removeprefix("native://") == SENTENCES:
        from services.llm.backends.sentences import SentenceBackend
        from services.runtime.encoder import load_encoder

        return SentenceBackend(load_encoder())
    from services.llm.backends.native import open_native

    return open_native(url, opening.engine, opening.observer)
