"""Routes that cannot work are refused when the router opens."""

from __future__ import annotations

import pytest

from services.llm.routing.policy import RetryPolicy
from services.llm.routing.route import ModelRoute, Target, checked
from services.runtime.errors import SettingsError

HERE = Target("openai://here/v1")


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ({"m": ModelRoute(())}, "no targets"),
        ({"m": ModelRoute((HERE,), ("n",))}, "falls back on n"),
        ({"m": ModelRoute((HERE,), ("m",))}, "falls back on m"),
        ({"m": ModelRoute((HERE,), retries=RetryPolicy(attempts=0))}, "at least once"),
        ({"m": ModelRoute((Target("openai://here/v1", weight=0),))}, "weight"),
        ({"m": ModelRoute((Target("openai://here/v1", max_in_flight=0),))}, "in flight"),
        ({"m": ModelRoute((HERE,)), "n": ModelRoute((Target(HERE.url, max_in_flight=1),))}, "two ways"),
    ],
)
def test_a_wrong_route_is_refused_and_its_model_named(models: dict[str, ModelRoute], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        checked(models)
    assert caught.value.field in models


def test_models_may_share_a_backend() -> None:
    models = {"m": ModelRoute((HERE,)), "n": ModelRoute((Target(HERE.url, model="x", weight=2),), ("m",))}
    assert checked(models) is models
