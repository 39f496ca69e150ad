"""What the services tell Prometheus is what services/runtime/metrics.py declares, and is not empty."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from loadtests.compose import Compose
from services.runtime import metrics
from tests.e2e.compose import each_of, metrics_of, needs_containers
from tests.e2e.steps import accepted, event, recommended, shown, until

pytestmark = pytest.mark.e2e

OF_LIBRARIES = ("python_", "process_", "feast_")
"""Families of prometheus_client, and of Feast where it is installed: not ours to name."""
DECLARED = {
    family.name
    for value in vars(metrics).values()
    if isinstance(value, MetricWrapperBase)
    for family in value.describe()
}
CORE = {
    "features": {"cascade_rpc_seconds_count"},
    "retrieval": {"cascade_rpc_seconds_count", "cascade_model_info"},
    "ranker": {"cascade_rpc_seconds_count", "cascade_model_info"},
    "reranker": {"cascade_rpc_seconds_count"},
    "ingest": {"cascade_events_total", "cascade_event_lag_seconds_count"},
    "trainer": set[str](),
}
"""Samples above zero once somebody asked and an event was folded."""


@pytest.fixture(scope="module")
def traffic(client: httpx.Client) -> None:
    """A recommendation and an event."""
    user = "e2e-metrics"
    accepted(client, event(user, shown(recommended(client, user))[0]))


def families(text: str) -> tuple[set[str], set[str]]:
    """(names of families, names of samples above zero)."""
    found = list(text_string_to_metric_families(text))
    alive = {sample.name for family in found for sample in family.samples if sample.value > 0}
    return {family.name for family in found}, alive


def check(fetch: Callable[[], str], core: set[str]) -> None:
    names, _ = families(fetch())
    strangers = {name for name in names if not name.startswith(OF_LIBRARIES)} - DECLARED
    assert strangers == set()
    assert {name for name in names if name.startswith("process_")}, "CPU and memory are missing"
    until(lambda: core <= families(fetch())[1], f"samples of {sorted(core)}")


@pytest.mark.usefixtures("traffic")
def test_the_gateway_exposes_declared_metrics_only_and_the_core_ones(client: httpx.Client) -> None:
    core = {"cascade_http_seconds_count", "cascade_stage_seconds_count", "cascade_events_total"}
    check(lambda: client.get("/metrics").raise_for_status().text, core)


@needs_containers
@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize("service", each_of(list(CORE)))
def test_a_service_exposes_declared_metrics_only_and_the_core_ones(compose: Compose, service: str) -> None:
    check(lambda: metrics_of(compose, service), CORE[service])
