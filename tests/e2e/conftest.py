"""Tests against a stack that runs already. CASCADE_E2E_URL says where; CASCADE_E2E_COMPOSE, the prefix of compose
commands such as "docker compose", lets them look into its containers and break them.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import httpx
import pytest

from loadtests.access import found_keys
from loadtests.compose import Compose
from services.gateway.keys import ApiKeys
from tests.e2e.compose import project


@pytest.fixture(scope="session")
def base_url() -> str:
    """Where the gateway answers."""
    return os.environ.get("CASCADE_E2E_URL", "http://127.0.0.1:8000").rstrip("/")


@pytest.fixture(scope="session")
def compose() -> Compose:
    """The project behind the gateway; the test is skipped where none is named."""
    found = project()
    if found is None:
        pytest.skip("CASCADE_E2E_COMPOSE does not say how to reach the containers.")
    return found


@pytest.fixture(scope="session")
def keys() -> ApiKeys:
    """Those of the containers where there are any, else of the environment or the data folder."""
    found = project()
    return found.keys() if found is not None else found_keys()


@pytest.fixture(scope="module")
def client(base_url: str, keys: ApiKeys) -> Iterator[httpx.Client]:
    """A client that may read and write."""
    with httpx.Client(base_url=base_url, headers={"X-API-Key": keys.write}, timeout=10.0) as client:
        yield client


@pytest.fixture
def newcomer() -> str:
    """A user nobody has heard of."""
    return f"newcomer-{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def known_user() -> str:
    """A user with a history; CASCADE_E2E_USER names another."""
    return os.environ.get("CASCADE_E2E_USER", "42")
