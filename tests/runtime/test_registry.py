from __future__ import annotations

from pathlib import Path

import pytest

from models.artifact import DamagedArtifact, Manifest, seal, writing
from services.runtime.errors import NotFound, SettingsError
from services.runtime.registry import CHALLENGER, CHAMPION, Registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry.open(tmp_path_factory.mktemp("registry"))


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
