from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from ephemeral_port_reserve import reserve
from mlflow import MlflowClient
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from models.artifact import DamagedArtifact, Manifest, seal, writing
from services.runtime.errors import NotFound, SettingsError, Unavailable
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.runtime.sqlite_writes import Writes

HOLDER = """
import sys
from pathlib import Path
from services.runtime.registry import Registry
with Registry(None, Path(sys.argv[1])).exclusive():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A real MLflow server over SQLite, as a stack in containers runs it."""
    port = reserve()
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
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Data folder and URL of a registry. One contract, both kinds."""
    folder = tmp_path_factory.mktemp("registry")
    if request.param == "file":
        yield folder, ""
        return
    with mlflow_server(folder) as url:
        yield folder, url


@pytest.fixture(scope="module")
def registry(place: tuple[Path, str]) -> Registry:
    return Registry.open(*place)


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


def test_every_alias_is_told_and_can_be_taken_away(registry: Registry, tmp_path: Path) -> None:
    assert registry.aliases("tried") == {}
    registry.publish("tried", artifact(tmp_path / "a"), CHAMPION)
    registry.set_alias("tried", CHALLENGER, "1")
    assert registry.aliases("tried") == {CHAMPION: "1", CHALLENGER: "1"}
    registry.remove_alias("tried", CHALLENGER)
    registry.remove_alias("tried", CHALLENGER)
    assert registry.aliases("tried") == {CHAMPION: "1"}
    with pytest.raises(NotFound):
        registry.set_alias("tried", CHALLENGER, "9")


def test_what_somebody_else_writes_is_seen_at_once(registry: Registry, place: tuple[Path, str], tmp_path: Path) -> None:
    reader = Registry.open(*place)
    registry.publish("shared", artifact(tmp_path / "a"), CHAMPION)
    for version in ("2", "3"):
        registry.publish("shared", artifact(tmp_path / version))
        registry.set_alias("shared", CHAMPION, version)
        registry.note("shared", "rollout", version)
        assert reader.aliases("shared") == {CHAMPION: version}
        assert reader.noted("shared", "rollout") == version


def test_a_file_that_nobody_wrote_to_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry.open(tmp_path)
    registry.publish("polled", artifact(tmp_path / "a"), CHAMPION)
    assert registry.aliases("polled") == {CHAMPION: "1"}
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "get_registered_model", refuse)
        assert registry.aliases("polled") == {CHAMPION: "1"}
        assert registry.noted("polled", "rollout") is None
    registry.note("polled", "rollout", "canary")
    assert registry.noted("polled", "rollout") == "canary"


def test_a_file_in_place_of_the_one_that_was_read_is_another(tmp_path: Path) -> None:
    writes = Writes(tmp_path / "file.db")
    assert writes.stamp() is None
    with closing(sqlite3.connect(tmp_path / "file.db")) as first:
        first.execute("CREATE TABLE numbers (number)")
    before = writes.stamp()
    assert writes.stamp() == before is not None
    (tmp_path / "file.db").rename(tmp_path / "moved.db")
    shutil.copy(tmp_path / "moved.db", tmp_path / "file.db")
    assert writes.stamp() not in (before, None)


def test_what_is_written_while_nobody_may_look_is_another_state(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "file.db", isolation_level=None)) as writer:
        writer.execute("CREATE TABLE numbers (number)")
        writes = Writes(tmp_path / "file.db")
        before = writes.stamp()
        writer.execute("BEGIN EXCLUSIVE")
        assert writes.stamp() is None
        writer.execute("INSERT INTO numbers VALUES (1)")
        writer.execute("COMMIT")
        assert writes.stamp() not in (before, None)


def refuse(*arguments: Any) -> None:
    raise AssertionError(f"MLflow was asked: {arguments[1:]}")


def test_notes_and_tags_are_kept(registry: Registry, tmp_path: Path) -> None:
    assert registry.noted("noted", "rollout") is None
    registry.note("noted", "rollout", "x" * 5000)
    assert registry.noted("noted", "rollout") == "x" * 5000
    version = registry.publish("noted", artifact(tmp_path / "a"), tags={"gate": "passed"})
    registry.tag("noted", version, "rollout", "canary")
    tags = registry.resolve("noted", version).tags
    assert (tags["gate"], tags["rollout"]) == ("passed", "canary")


def test_pruning_keeps_the_newest_the_aliased_and_the_young(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for made in range(5):
        registry.publish("many", artifact(tmp_path / str(made)), CHAMPION if made == 1 else None)
    folders = {version.version: version.folder for version in registry.versions("many")}
    orphan = shutil.copytree(tmp_path / "0", folders["1"].parent / "orphan")
    assert registry.prune("many", keep=2) == [], "all of them are young"
    assert orphan.is_dir()
    monkeypatch.setattr("services.runtime.registry.YOUNG_SECONDS", -60)
    assert registry.prune("many", keep=2) == ["3", "1"]
    assert [version.version for version in registry.versions("many")] == ["5", "4", "2"]
    assert {version for version, folder in folders.items() if folder.is_dir()} == {"5", "4", "2"}
    assert not orphan.exists()
    assert registry.resolve("many").version == "2"
    assert registry.prune("nothing at all") == []


def test_only_one_process_at_a_time_is_exclusive(tmp_path: Path) -> None:
    # The lock lies beside the files; MLflow has no part in it.
    mine = Registry(cast(Any, None), tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Unavailable, match="written by another process"), mine.exclusive(seconds=0.1):
            raise AssertionError("two at a time")
    finally:
        holder.kill()
        holder.wait(10)
        holder.communicate()
    # The end of a process gives its lock back.
    with mine.exclusive():
        assert (tmp_path / ".writer.lock").is_file()


def test_a_reader_never_makes_a_registry(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There is no model registry"):
        Registry.open(tmp_path, create=False)
    assert not list(tmp_path.iterdir())


def test_a_damaged_registry_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(SettingsError, match="is damaged .file is not a database."):
        Registry.open(tmp_path, create=False)


def test_a_server_that_went_away_is_told_in_the_same_words_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = "http://127.0.0.1:9"
    registry, told = Registry(MlflowClient(tracking_uri=away, registry_uri=away), tmp_path), list[str]()
    for _ in range(2):
        with pytest.raises(Unavailable, match="The model registry cannot be asked: .*127.0.0.1") as caught:
            registry.aliases("ranker")
        told.append(caught.value.sentence)
    assert told[0] == told[1]


def test_a_server_that_is_away_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="registry at http://127.0.0.1:9 does not answer"):
        Registry.open(tmp_path, "http://127.0.0.1:9")


def test_a_server_that_goes_away_before_a_version_is_registered_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    gone = Registry(MlflowClient("http://127.0.0.1:9", "http://127.0.0.1:9"), tmp_path / "store")
    with pytest.raises(Unavailable, match="cannot be asked"):
        gone.publish("ranker", artifact(tmp_path / "a"))
