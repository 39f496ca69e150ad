"""Every panel shows data from the running stack, and every alert can be evaluated. CASCADE_E2E_PROMETHEUS_URL says
where Prometheus answers."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest

from tests.deploy.test_observability import alerts, panels
from tests.e2e.steps import accepted, event, recommended, shown, until

URL = os.environ.get("CASCADE_E2E_PROMETHEUS_URL", "")
PATIENCE_S = 90.0
"""Rates need a minute of scrapes."""
TARGETS = [(name, target["expr"]) for name, panel in panels() for target in panel["targets"]]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not URL, reason="CASCADE_E2E_PROMETHEUS_URL is not set."),
]


def asked(expression: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{URL}/api/v1/query", params={"query": expression}, timeout=10.0).json()
    assert answer["status"] == "success", f"{expression}: {answer}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def has_data(expression: str) -> bool:
    return any(sample["value"][1] != "NaN" for sample in asked(expression))


def test_every_panel_has_data_once_people_come(client: httpx.Client) -> None:
    def come() -> bool:
        for number in range(5):
            user = f"e2e-dashboard-{number}"
            answer = recommended(client, user)
            seen = {"recommendation_id": answer["recommendation_id"], "position": 1}
            accepted(client, event(user, shown(answer)[0], "click", **seen), event(user, shown(answer)[1], "watch"))
        return all(has_data(expression) for _, expression in TARGETS)

    try:
        until(come, "data in every panel", PATIENCE_S)
    except AssertionError:
        pytest.fail(f"Panels without data: {[name for name, expression in TARGETS if not has_data(expression)]}")


@pytest.mark.parametrize("rule", [rule["alert"] for rule in alerts()])
def test_an_alert_can_be_evaluated(rule: str) -> None:
    (expression,) = [alert["expr"] for alert in alerts() if alert["alert"] == rule]
    assert isinstance(asked(expression), list)


def test_every_service_is_scraped() -> None:
    def all_up() -> bool:
        return {sample["metric"]["job"] for sample in asked("up == 1")} >= {
            "gateway", "features", "retrieval", "ranker", "reranker", "ingest", "trainer", "prometheus"
        }  # fmt: skip

    until(all_up, "a scrape of every service", PATIENCE_S)
