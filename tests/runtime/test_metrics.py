"""Every metric of the stack keeps to the naming scheme, and lies in the one file that declares them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from services.runtime import metrics

SERVICES = Path(__file__).parents[2] / "services"
KINDS = (Counter, Gauge, Histogram)
NAME = re.compile(r"cascade_[a-z]+(_[a-z]+)*_(total|info|seconds|ratio|bits|records|items|candidates)|vllm:[a-z0-9_]+")
LABELS = {
    "service", "method", "code", "route", "status", "stage", "reason", "source", "model", "version", "outcome",
    "topic", "slot", "arm", "position", "type", "by", "model_name", "finished_reason", "backend", "to", "cache", "key",
    "direction", "rule", "action",
}  # fmt: skip
"""Labels whose values are few."""
DECLARED = {name: value for name, value in vars(metrics).items() if isinstance(value, KINDS)}


def exposed_name(metric: Counter | Gauge | Histogram) -> str:
    described = next(iter(metric.describe()))
    return described.name + ("_total" if isinstance(metric, Counter) else "")


def samples_of(gauge: Gauge) -> list[tuple[str, ...]]:
    return [tuple(sample.labels.values()) for family in gauge.collect() for sample in family.samples]


@pytest.mark.parametrize("metric", DECLARED.values(), ids=DECLARED.keys())
def test_a_metric_is_named_for_what_it_measures_and_its_unit(metric: Counter | Gauge | Histogram) -> None:
    name, described = exposed_name(metric), next(iter(metric.describe()))
    assert NAME.fullmatch(name)
    assert name.endswith("_total") == isinstance(metric, Counter)
    assert re.fullmatch(r"[A-Z1].*[^.]\.", described.documentation), "Its help text is a sentence."
    assert set(metric._labelnames) <= LABELS


def test_every_metric_of_the_services_is_declared_in_one_file() -> None:
    elsewhere = []
    for file in sorted(SERVICES.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and file != SERVICES / "runtime" / "metrics.py":
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                imported = "prometheus_client" in file.read_text()
                if imported and called in {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}:
                    elsewhere.append(f"{file.relative_to(SERVICES)}:{node.lineno}")
    assert elsewhere == []


def test_every_declared_metric_is_exposed_and_none_with_the_time_of_its_creation() -> None:
    exposed = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    assert "cascade_spool_records" in exposed
    assert not [name for name in exposed if name.startswith("cascade_") and name.endswith("_created")]


def test_values_stay_in_the_process_whatever_the_environment_says(tmp_path: Path) -> None:
    """Feast sets the variable on import, and a stack started by such a process inherits it."""
    code = "import prometheus_client; from services.runtime import metrics; metrics.SPOOLED.inc()"
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    written = [file.read_bytes() for file in tmp_path.iterdir()]
    assert not [content for content in written if b"cascade_" in content]


def test_a_retired_model_version_leaves_no_series_behind() -> None:
    metrics.model_loaded("small", "ranker", "7", "2026-01-02T03:04:05+00:00")
    metrics.model_loaded("small", "ranker", "8", "")
    assert ("small", "ranker", "7") in samples_of(metrics.MODEL_INFO)
    assert metrics.MODEL_TRAINED.labels("small", "ranker", "7")._value.get() == 1767323045.0
    metrics.model_retired("small", "ranker", "7")
    metrics.model_retired("small", "ranker", "8")
    small = [labels for gauge in (metrics.MODEL_INFO, metrics.MODEL_TRAINED) for labels in samples_of(gauge)]
    assert not [labels for labels in small if labels[0] == "small"]
