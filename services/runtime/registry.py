"""The model registry: MLflow, over SQLite in the data folder or an MLflow server by URL.

    registry = Registry.open(".data")                       # or Registry.open(".data", "http://mlflow:5000")
    version = registry.publish("ranker", draft_folder)      # copies, verifies, registers; whole or not at all
    registry.set_alias("ranker", "champion", version)
    registry.resolve("ranker", "champion").folder           # verified files on local disk

The trainer writes, everybody else reads. Calls block; from async code use asyncio.to_thread.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from models.artifact import DamagedArtifact, Manifest, read_manifest, verify, writing
from services.runtime.errors import NotFound, SettingsError, Unavailable
from services.runtime.mlflow_client import DATABASE, answering, away, over_file, over_server
from services.runtime.sqlite_writes import Stamp, Writes

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
"""The champion before this one: where a rollback leads."""
LOCK = ".writer.lock"
LOCK_POLL_SECONDS = 0.02
YOUNG_SECONDS = 3600.0
"""Versions and files younger than this are never removed: somebody may be publishing or loading them."""


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One version of a model."""

    name: str
    version: str
    aliases: tuple[str, ...]
    folder: Path
    manifest: Manifest
    tags: Mapping[str, str] = field(default_factory=dict)
    """What was said about it, for example `gate`: what the gate found."""


class Registry:
    """Versions by name, and the aliases that say which of them serve."""

    def __init__(self, client: MlflowClient, artifacts: Path, writes: Writes | None = None) -> None:
        """`writes` of the file behind the client spares those who poll most of what MLflow costs."""
        self._client = client
        self._artifacts = artifacts
        self._writes = writes
        self._models: dict[str, tuple[Stamp | None, RegisteredModel | None]] = {}
        """What MLflow said of a model, and the state of the file it said that of."""

    @classmethod
    def open(cls, data_dir: Path | str, url: str = "", *, create: bool = True) -> Registry:
        """The registry of a data folder; `url` names an MLflow server instead of the SQLite file.

        Readers say create=False: two that make the file at the same time spoil it. SettingsError without one.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        data_dir = Path(data_dir).absolute()
        if not url and not create and not (data_dir / DATABASE).is_file():
            raise SettingsError(f"There is no model registry in {data_dir}. Train first: make train")
        if url:
            return cls(over_server(url), data_dir / "artifacts")
        return cls(over_file(data_dir), data_dir / "artifacts", Writes(data_dir / DATABASE))

    def publish(self, name: str, folder: Path, alias: str | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Copies a sealed artifact into the store, registers it with `tags`, and returns its version."""
        verify(folder)
        home = self._artifacts / name / uuid.uuid4().hex[:12]
        with writing(home) as draft:
            shutil.copytree(folder, draft, dirs_exist_ok=True)
        manifest = read_manifest(home)
        relative = str(home.relative_to(self._artifacts))
        described = {**(tags or {}), "folder": relative, "kind": manifest.kind}
        # Not a path: an MLflow server refuses paths, and the folder lies elsewhere for every process that mounts it.
        with answering():
            self._ensure_model(name)
            registered = self._client.create_model_version(
                name, source=f"cascade-artifacts:///{relative}", tags=described
            )
        version = str(registered.version)
        if alias is not None:
            self.set_alias(name, alias, version)
        return version

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Lets `alias` mean `version` from now on."""
        with answering():
            self._client.set_registered_model_alias(name, alias, version)

    def remove_alias(self, name: str, alias: str) -> None:
        """Lets `alias` mean nothing; no error when it meant nothing before."""
        if alias in self.aliases(name):
            with answering():
                self._client.delete_registered_model_alias(name, alias)

    def aliases(self, name: str) -> dict[str, str]:
        """Every alias of a model and the version it means; empty for a model that is not there."""
        model = self._model(name)
        return {} if model is None else {alias: str(version) for alias, version in model.aliases.items()}

    @contextmanager
    def exclusive(self, seconds: float = 10.0) -> Iterator[None]:
        """Keeps other processes on this data folder from the same block; Unavailable after `seconds` of waiting.

        Aliases and notes are written one by one: who reads them to decide what to write, does it in here.
        """
        self._artifacts.mkdir(parents=True, exist_ok=True)
        ends_at = time.monotonic() + seconds
        with (self._artifacts / LOCK).open("w") as file:
            while not _locked(file.fileno()):
                if time.monotonic() >= ends_at:
                    raise Unavailable("The model registry is being written by another process; try again in a moment.")
                time.sleep(LOCK_POLL_SECONDS)
            # Closing the file gives the lock back, as the end of the process would.
            yield

    def tag(self, name: str, version: str, key: str, value: str) -> None:
        """Says something about a version, for example what the gate found."""
        with answering():
            self._client.set_model_version_tag(name, version, key, value)

    def note(self, name: str, key: str, value: str) -> None:
        """Keeps a value beside a model, of up to 5000 characters."""
        with answering():
            self._ensure_model(name)
            self._client.set_registered_model_tag(name, key, value)

    def noted(self, name: str, key: str) -> str | None:
        """What `note` kept; None when nothing was."""
        model = self._model(name)
        value = None if model is None else model.tags.get(key)
        return None if value is None else str(value)

    def resolve(self, name: str, alias_or_version: str = CHAMPION) -> RegisteredVersion:
        """A version, its files verified. NotFound when it does not exist."""
        from mlflow.exceptions import MlflowException

        try:
            if alias_or_version.isdigit():
                found = self._client.get_model_version(name, alias_or_version)
            else:
                found = self._client.get_model_version_by_alias(name, alias_or_version)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise away(error) from error
            raise NotFound(
                f"The registry has no {alias_or_version!r} of {name!r}. Train one with: make train",
                field="model",
            ) from error
        folder = self._folder_of(found)
        return self._registered(found, verify(folder))

    def version_of(self, name: str, alias: str = CHAMPION) -> str | None:
        """The version an alias means, without touching files; None when it means nothing. Cheap enough to poll."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self._client.get_model_version_by_alias(name, alias).version)
        except MlflowException:
            return None

    def versions(self, name: str) -> list[RegisteredVersion]:
        """Every version, newest first; those whose manifest cannot be read are left out."""
        found: list[RegisteredVersion] = []
        for version in self._raw_versions(name):
            try:
                found.append(self._registered(version, read_manifest(self._folder_of(version))))
            except DamagedArtifact:
                continue
        return sorted(found, key=lambda version: int(version.version), reverse=True)

    def prune(self, name: str, keep: int = 10) -> list[str]:
        """Removes old versions and their files, and returns them: those without an alias, not among the newest `keep`
        and older than YOUNG_SECONDS. Files that a killed publisher left go too.
        """
        found = sorted(self._raw_versions(name), key=lambda version: int(version.version), reverse=True)
        aliased = set(self.aliases(name).values())
        oldest_ms = (time.time() - YOUNG_SECONDS) * 1000
        gone = [
            version
            for version in found[keep:]
            if str(version.version) not in aliased and version.creation_timestamp < oldest_ms
        ]
        for version in gone:
            # The version first: nobody may resolve one whose files go.
            with answering():
                self._client.delete_model_version(name, version.version)
            shutil.rmtree(self._folder_of(version), ignore_errors=True)
        kept = {self._folder_of(version) for version in found}
        for folder in self._artifacts.joinpath(name).glob("*"):
            if folder not in kept and folder.stat().st_mtime < oldest_ms / 1000:
                shutil.rmtree(folder, ignore_errors=True)
        return [str(version.version) for version in gone]

    def _model(self, name: str) -> RegisteredModel | None:
        """None for a model that is not there."""
        # Before it is read: what is written meanwhile is another state.
        stamp = None if self._writes is None else self._writes.stamp()
        known = self._models.get(name)
        if known is not None and stamp is not None and known[0] == stamp:
            return known[1]
        model: RegisteredModel | None
        try:
            with answering():
                model = self._client.get_registered_model(name)
        except NotFound:
            model = None
        self._models[name] = stamp, model
        return model

    def _raw_versions(self, name: str) -> list[ModelVersion]:
        found: list[ModelVersion] = []
        token: str | None = None
        with answering():
            while True:
                page = self._client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token)
                found.extend(page)
                token = page.token
                if not token:
                    return found

    def _folder_of(self, found: ModelVersion) -> Path:
        return self._artifacts / str(found.tags["folder"])

    def _registered(self, found: ModelVersion, manifest: Manifest) -> RegisteredVersion:
        aliases = self.aliases(found.name)
        mine = tuple(sorted(alias for alias, version in aliases.items() if version == str(found.version)))
        return RegisteredVersion(
            found.name, str(found.version), mine, self._folder_of(found), manifest, dict(found.tags)
        )

    def _ensure_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(name)
        except MlflowException:
            self._client.create_registered_model(name)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
