"""The Compose project the tests are told of; its commands, health and kills are those of loadtests/compose.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache

import pytest

from loadtests.compose import Compose

METRICS_PORT = 9100


def project() -> Compose | None:
    """None where CASCADE_E2E_COMPOSE is not set."""
    command = os.environ.get("CASCADE_E2E_COMPOSE", "")
    return Compose(command) if command else None


@cache
def running_services() -> tuple[str, ...]:
    """Services that run now; none without a project, so that what is parametrised over them is skipped."""
    found = project()
    return tuple(found.services()) if found is not None else ()


def each_of(services: Sequence[str]) -> Sequence[str]:
    """Those of `services` that run here; all of them when there is no project, each to be skipped by its fixture."""
    running = running_services()
    return [service for service in services if service in running] if running else services


def metrics_of(compose: Compose, service: str) -> str:
    """What the service's container tells Prometheus."""
    url = f"http://127.0.0.1:{METRICS_PORT}"
    fetch = f"from urllib.request import urlopen; print(urlopen('{url}', timeout=5).read().decode())"
    return compose.python(service, fetch)


needs_containers = pytest.mark.skipif(
    not os.environ.get("CASCADE_E2E_COMPOSE"), reason="CASCADE_E2E_COMPOSE does not say how to reach the containers."
)
