from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from models.artifact import DamagedArtifact, Manifest, seal, writing
from services.runtime.errors import NotFound, SettingsError, Unavailable
from services.runtime.registry import CHALLENGER, CHAMPION, Registry


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A real MLflow server over SQLite, as a stack in containers runs it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1",
        f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}", f"--artifacts-destination={folder / 'artifacts'}",
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for_health(f"http://127.0.0.1:{port}/health", process, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def wait_for_health(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.1), retry=retry_if_exception_type(OSError)):
        with attempt:
            assert process.poll() is None, log.read_text()
            urllib.request.urlopen(url, timeout=2).close()


@pytest.fixture(scope="module", params=["file", "server"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One contract, both kinds."""
    folder = tmp_path_factory.mktemp("registry")
    if request.param == "file":
        yield Registry.open(folder)
        return
    with mlflow_server(folder) as url:
        yield Registry.open(folder, url)


def artifact(folder: Path, content: bytes = b"weights") -> Path:
    with writing(folder) as draft:
        (draft / "model.onnx").write_bytes(content)
        seal(draft, Manifest(name="ranker", kind="dlrm"))
    return folder


def test_an_alias_follows_the_version_it_was_set_to(registry: Registry, tmp_path: Path) -> None:
    first = registry.publish("aliased", artifact(tmp_path / "a", b"one"), CHAMPION)
    second = registry.publish("aliased", artifact(tmp_path / "b", b"two"), CHALLENGER)
    assert (first, second) == ("1", "2")
    registry.set_alias("aliased", CHAMPION, second)
    champion = registry.resolve("aliased")
    assert champion.version == "2"
    assert set(champion.aliases) == {CHAMPION, CHALLENGER}
    assert (champion.folder / "model.onnx").read_bytes() == b"two"
    assert registry.version_of("aliased") == "2"
    assert [version.version for version in registry.versions("aliased")] == ["2", "1"]


def test_what_is_not_there_is_said_in_a_sentence(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no 'champion' of 'nothing'"):
        registry.resolve("nothing")
    registry.publish("something", artifact(tmp_path / "a"))
    with pytest.raises(NotFound, match="no '9' of 'something'"):
        registry.resolve("something", "9")
    assert registry.version_of("something") is None


def test_a_damaged_artifact_is_neither_published_nor_resolved(registry: Registry, tmp_path: Path) -> None:
    draft = artifact(tmp_path / "a")
    registry.publish("damaged", draft, CHAMPION)
    (registry.resolve("damaged").folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(DamagedArtifact, match=r"model.onnx"):
        registry.resolve("damaged")
    (draft / "model.onnx").write_bytes(b"other")
    with pytest.raises(DamagedArtifact, match=r"model.onnx"):
        registry.publish("damaged", draft)
    assert len(registry.versions("damaged")) == 1


def test_a_reader_never_makes_a_registry(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There is no model registry"):
        Registry.open(tmp_path, create=False)
    assert not list(tmp_path.iterdir())


def test_a_damaged_registry_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(SettingsError, match="is damaged .file is not a database."):
        Registry.open(tmp_path, create=False)


def test_a_server_that_is_away_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="registry at http://127.0.0.1:9 does not answer"):
        Registry.open(tmp_path, "http://127.0.0.1:9")
