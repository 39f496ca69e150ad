"""Models, keys, caches and guardrails: a TOML file, read once and refused with a sentence.

[models.chat]
backends = [{url = "openai://gpu:8000/v1", model = "qwen"}, {url = "openais://cloud/v1", key_env = "CLOUD_KEY"}]
fallbacks = ["smollm2", "template"]
price = {prompt = 0.1, completion = 0.4}
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from services.llm.admission.keys import Keys
from services.llm.admission.prices import Price
from services.llm.backends.opening import Opening
from services.llm.caches.semantic import SemanticConfig
from services.llm.engine.config import EngineConfig
from services.llm.guardrails.config import GuardrailConfig
from services.llm.routing.affinity import AffinityConfig
from services.llm.routing.policy import RetryPolicy
from services.llm.routing.route import ModelRoute, Target
from services.llm.settings import KEY, KEY_FILE, LlmSettings
from services.runtime.errors import SettingsError
from services.runtime.keyfile import read_or_create

DEFAULT = Path(__file__).with_name("models.toml")


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BackendConfig(_Described):
    """A backend of a model; in the file a URL alone will do."""

    url: str
    """openai://, openais://, native:// or template://."""
    model: str | None = None
    """The backend's own name of the model."""
    weight: float = Field(1.0, gt=0)
    """Its share among those that are equally busy."""
    max_in_flight: int = Field(64, ge=1)
    """Calls at once; more go elsewhere or are refused."""
    key_env: str | None = None
    """Environment variable that holds its key."""
    label: str = ""
    """What metrics call it; empty: its URL."""
    engine: dict[str, Any] = Field(default_factory=dict)
    """For native://: fields of the engine's configuration."""

    @property
    def target(self) -> Target:
        """The same for the router."""
        engine = EngineConfig(**self.engine) if self.engine else None
        opening = Opening(self.key_env, max_connections=max(64, self.max_in_flight), engine=engine)
        return Target(self.url, self.model, self.weight, self.max_in_flight, opening, self.label)


class ModelConfig(_Described):
    """A model as callers know it."""

    backends: tuple[BackendConfig, ...] = Field(min_length=1)
    """Where it is served."""
    fallbacks: tuple[str, ...] = ()
    """Models that answer in its place, in order."""
    price: Price = Price()
    """USD for a million tokens."""
    timeout_seconds: float = Field(60.0, gt=0, le=3600)
    """For a whole answer, and for the first piece of a stream."""
    max_tokens: int = Field(1024, ge=1)
    """Most that an answer may have; so many are reserved when a caller names no number."""
    attempts: int = Field(3, ge=1, le=10)
    """Tries before the fallbacks are asked."""
    affinity_characters: int = Field(256, ge=0)
    """Least shared beginning for which a call goes where it was read before; 0 switches that off."""

    @field_validator("backends", mode="before")
    @classmethod
    def _urls(cls, value: Any) -> Any:
        return [{"url": entry} if isinstance(entry, str) else entry for entry in value]

    @property
    def route(self) -> ModelRoute:
        """The same for the router."""
        return ModelRoute(
            tuple(backend.target for backend in self.backends),
            self.fallbacks,
            RetryPolicy(self.attempts),
            AffinityConfig(least_match=self.affinity_characters),
        )


class CacheConfig(_Described):
    """What is kept of answers."""

    exact_megabytes: int = Field(64, ge=0)
    """0 switches it off."""
    exact_seconds: float = Field(3600, gt=0)
    """How long an answer is given again."""
    semantic: SemanticConfig | None = None
    """None: only equal calls share answers."""
    hit_share: float = Field(0.0, ge=0, le=1)
    """Of the usual price, asked for an answer out of a cache."""


class LlmConfig(_Described):
    """The whole file."""

    models: dict[str, ModelConfig] = Field(min_length=1)
    """By the name that callers use."""
    keys: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Virtual keys by name; see admission/keys.py."""
    caches: CacheConfig = CacheConfig()
    """Exact and semantic."""
    guardrails: GuardrailConfig = GuardrailConfig()
    """In and out."""

    def routes(self, settings: LlmSettings) -> Mapping[str, ModelRoute]:
        """Every model's route; `smollm2` goes upstream when the settings name one."""
        models = dict(self.models)
        if settings.upstream and "smollm2" in models:
            backend = BackendConfig(url=settings.upstream, model=settings.upstream_model or None)
            models["smollm2"] = models["smollm2"].model_copy(update={"backends": (backend,)})
        return {name: model.route for name, model in models.items()}

    def virtual_keys(self, data_dir: Path) -> Keys:
        """The keys; that of CASCADE_LLM_KEY is made and kept in the data folder when nobody set it."""
        environment = {**os.environ, **read_or_create(data_dir / KEY_FILE, [KEY])} if _wants_key(self.keys) else None
        return Keys.read(self.keys, environment)


def read_config(path: Path | None) -> LlmConfig:
    """The file, or models.toml; SettingsError names what is wrong."""
    path = path or DEFAULT
    try:
        return LlmConfig.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}). Set CASCADE_LLM_CONFIG.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}.", field="config") from error
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
        raise SettingsError(f"{path} is wrong. {' · '.join(wrong)}", field="config") from error


def _wants_key(keys: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(key.get("secret", {}).get("env") == KEY for key in keys.values())
