"""What the language models' gateway can be told, as CASCADE_LLM_<FIELD>; models, keys and prices stand in a file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.runtime.settings import ServiceSettings, service_config

KEY = "CASCADE_LLM_KEY"
"""The key of whoever starts it."""
KEY_FILE = "llm-key.env"
"""In the data folder: the key, when nobody set one."""


class LlmSettings(ServiceSettings):
    """Environment: CASCADE_LLM_<FIELD>; the key made for whoever starts it is CASCADE_LLM_KEY."""

    model_config = service_config("llm")

    port: int = Field(50057, ge=0, le=65535)
    """Port of gRPC, for the gateway; 0 takes any free one."""
    rest_port: int = Field(8001, ge=0, le=65535)
    """Port of OpenAI's REST, for everybody else; 0 takes any free one."""
    config: Path | None = None
    """A TOML file of models, keys, caches and guardrails; none takes models.toml beside this code."""
    upstream: str = ""
    """openai://host:8000/v1: where the model `smollm2` is served instead of by our own engine."""
    upstream_model: str = ""
    """What that server calls it; empty: smollm2."""
    body_bytes: int = Field(1024 * 1024, ge=1024)
    """Largest request body."""
    concurrent_requests: int = Field(512, ge=1)
    """Requests served at once; more are told 429."""
