"""Models by name, and where each of them is found: what a router is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.llm.backends.opening import Opening
from services.llm.routing.affinity import AffinityConfig
from services.llm.routing.policy import RetryPolicy
from services.runtime.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Target:
    """A backend that serves a model. Targets of one name, under several models, are one backend with one breaker."""

    url: str
    """openai://, openais://, native:// or template://."""
    model: str | None = None
    """The backend's own name of the model; None: the name it has here."""
    weight: float = 1.0
    """Share of the calls among targets that are equally busy, and how busy counts."""
    max_in_flight: int = 64
    """Calls at once, over all models; more go elsewhere or are refused."""
    opening: Opening = field(default_factory=Opening)
    label: str = ""
    """What metrics and answers call it; empty: the URL, which holds no secret."""

    @property
    def name(self) -> str:
        """The label, or the URL."""
        return self.label or self.url


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """Where a model's calls go."""

    targets: tuple[Target, ...]
    fallbacks: tuple[str, ...] = ()
    """Models that are asked in turn when none of the targets can answer; their own fallbacks are not followed.

    Calls for vectors have none: another model's vectors lie in another space.
    """
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    affinity: AffinityConfig = field(default_factory=AffinityConfig)


def checked(models: Mapping[str, ModelRoute]) -> Mapping[str, ModelRoute]:
    """The same routes; SettingsError names the first that cannot work."""
    backends: dict[str, Target] = {}
    for name, route in models.items():
        if not route.targets:
            raise SettingsError(f"The model {name} has no targets.", field=name)
        if route.retries.attempts < 1:
            raise SettingsError(
                f"The model {name} must be tried at least once, not {route.retries.attempts} times.", field=name
            )
        for fallback in route.fallbacks:
            if fallback == name or fallback not in models:
                raise SettingsError(f"The model {name} falls back on {fallback}, which is no other model.", field=name)
        for target in route.targets:
            _check(name, target, backends)
    return models


def _check(model: str, target: Target, backends: dict[str, Target]) -> None:
    if target.weight <= 0 or target.max_in_flight < 1:
        raise SettingsError(
            f"{target.name} of {model} needs a weight above 0 and at least 1 call in flight.", field=model
        )
    first = backends.setdefault(target.name, target)
    if (first.url, first.opening, first.max_in_flight) != (target.url, target.opening, target.max_in_flight):
        raise SettingsError(
            f"{target.name} is configured in two ways. Give one of them a label, or the same options.", field=model
        )
