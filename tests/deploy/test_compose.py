"""The compose file keeps its promises: bounded, checked, on loopback, and described in .env.example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "docker-compose.gpu.yml")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / FILES[0]).read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
STORES = {"redis", "qdrant", "kafka", "mlflow"}
WEB = {"gateway", "llm", "mlflow", "prometheus", "grafana", "jaeger", "locust"}
WITHOUT_A_SHELL = {"otel-collector"}


def defaults() -> Iterator[tuple[str, str]]:
    for file in FILES:
        yield from re.findall(r"\$\{(\w+):?-([^}]*)\}", (ROOT / file).read_text())


def test_every_variable_stands_in_the_example_with_the_value_it_has_when_nothing_is_said() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert dict(defaults()) == example


def test_there_is_a_container_for_every_service_and_every_store() -> None:
    rooms = {path.parent.name for path in ROOT.glob("services/*/settings.py")} - {"runtime", "local"}
    assert rooms | STORES <= SERVICES.keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_is_bounded_checked_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert "mem_limit" in service
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert "container_name" not in service
    if name == "bootstrap":
        return
    assert service["restart"] == "unless-stopped"
    assert "healthcheck" in service or name in WITHOUT_A_SHELL


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_more_rights_than_they_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_an_image_carries_what_its_service_needs_and_the_extra_exists(name: str) -> None:
    extra = SERVICES[name]["build"]["args"]["EXTRAS"]
    assert re.search(rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_only_web_ports_are_published_and_on_loopback(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert bool(ports) == (name in WEB)
    assert all(port.startswith("${CASCADE_BIND:-127.0.0.1}:") for port in ports)


def test_everything_waits_for_health_or_for_a_step_that_is_done() -> None:
    conditions = {
        (name, need): how["condition"]
        for name, service in SERVICES.items()
        for need, how in service.get("depends_on", {}).items()
    }
    assert {how for (_, need), how in conditions.items() if need == "bootstrap"} == {"service_completed_successfully"}
    assert {how for (_, need), how in conditions.items() if need != "bootstrap"} == {"service_healthy"}


def test_the_dockerfile_builds_where_the_rules_of_old_engines_hold() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    assert not re.match(r"#\s*syntax", text)
    assert "<<" not in text
    assert re.search(r"^USER cascade$", text, re.MULTILINE)
