"""Dashboards, alerts and configurations speak only of what exists: metrics, labels, services, datasources."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from services.runtime import metrics
from tests.deploy.promql import names_in

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
FOREIGN = {"up": set[str](), "process_cpu_seconds_total": set[str](), "process_resident_memory_bytes": set[str]()}
"""What Prometheus and every client library give by themselves."""
OF_SCRAPE = {"job", "instance"}
BUDGETS_S = {"Features": 0.01, "Retrieval": 0.01, "Ranking": 0.02, "Reranking": 0.005, "Recommendations, latency": 0.2}


def declared() -> dict[str, set[str]]:
    """Series -> its labels, as a scrape of the services brings them."""
    found = {name: labels | OF_SCRAPE for name, labels in FOREIGN.items()}
    for metric in vars(metrics).values():
        if not isinstance(metric, Counter | Gauge | Histogram):
            continue
        name, labels = next(iter(metric.describe())).name, {*metric._labelnames, *OF_SCRAPE}
        if isinstance(metric, Histogram):
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name + ("_total" if isinstance(metric, Counter) else "")] = labels
    return found


def read_yaml(*parts: str) -> Any:
    return yaml.safe_load(DEPLOY.joinpath(*parts).read_text())


def panels() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{file.stem}: {panel['title']}", panel)
        for file in DASHBOARDS
        for panel in json.loads(file.read_text())["panels"]
        if panel["type"] != "row"
    ]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in read_yaml("prometheus", "alerts.yml")["groups"] for rule in group["rules"]]


EXPRESSIONS = [(f"{name} {target['refId']}", target["expr"]) for name, panel in panels() for target in panel["targets"]]
EXPRESSIONS += [(rule["alert"], rule["expr"]) for rule in alerts()]


@pytest.mark.parametrize("expression", [text for _, text in EXPRESSIONS], ids=[name for name, _ in EXPRESSIONS])
def test_an_expression_names_only_metrics_and_labels_that_are_declared(expression: str) -> None:
    known, names = declared(), names_in(expression)
    assert names.metrics, "It asks for nothing."
    assert names.metrics <= set(known)
    assert {(metric, label) for metric, label in names.matched if label not in known[metric]} == set()
    assert names.labels <= set().union(*(known[metric] for metric in names.metrics))


def test_the_check_itself_sees_what_is_wrong() -> None:
    names = names_in(
        'histogram_quantile(0.9, sum by (le, stage) (rate(a_bucket{stage="b", x!~"y|z"}[1m]))) or vector(0)'
    )
    assert names == (
        frozenset({"a_bucket"}),
        frozenset({"le", "stage"}),
        frozenset({("a_bucket", "stage"), ("a_bucket", "x")}),
    )


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_shows_data_at_once(file: Path) -> None:
    board = json.loads(file.read_text())
    assert board["uid"] == f"cascade-{file.stem}"
    assert board["time"] == {"from": "now-15m", "to": "now"}
    assert board["refresh"] == "5s"
    assert not board.get("templating", {}).get("list")
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize(("name", "panel"), panels(), ids=[name for name, _ in panels()])
def test_a_panel_explains_itself(name: str, panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_panels_do_not_overlap(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(file.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_thresholds_lie_at_the_budgets() -> None:
    steps = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"] for _, panel in panels()
    }
    assert {title: steps[title] for title in BUDGETS_S} == BUDGETS_S


def test_datasources_have_the_names_that_dashboards_use() -> None:
    sources = read_yaml("grafana", "provisioning", "datasources", "cascade.yaml")["datasources"]
    assert {source["uid"]: source["url"] for source in sources} == {
        "prometheus": "http://prometheus:9090",
        "jaeger": "http://jaeger:16686",
    }


def test_prometheus_scrapes_every_service_and_loads_the_alerts() -> None:
    config = read_yaml("prometheus", "prometheus.yml")
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    served = ("features", "retrieval", "ranker", "reranker", "ingest", "trainer")
    assert targets == {
        "gateway": ["gateway:8000"],
        "llm": ["llm:8001"],
        "prometheus": ["localhost:9090"],
        **{name: [f"{name}:9100"] for name in served},
    }
    assert all((DEPLOY / "prometheus" / name).is_file() for name in config["rule_files"])


def test_an_alert_waits_says_how_bad_it_is_and_what_to_do() -> None:
    jobs = {job["job_name"] for job in read_yaml("prometheus", "prometheus.yml")["scrape_configs"]}
    for rule in alerts():
        assert re.fullmatch(r"\d+m", rule["for"])
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["description"].endswith(".")
        for names in re.findall(r'job=~"([^"]*)"', rule["expr"]):
            assert set(names.split("|")) <= jobs


def test_the_collectors_pipeline_uses_what_it_declares_and_refuses_before_it_batches() -> None:
    config = read_yaml("otel", "collector.yaml")
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(config[kind])
        assert pipeline["processors"][0] == "memory_limiter"
    assert set(config["service"]["extensions"]) <= set(config["extensions"])
    assert config["exporters"]["otlp"]["endpoint"] == "jaeger:4317"
