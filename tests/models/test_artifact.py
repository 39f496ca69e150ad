from __future__ import annotations

from pathlib import Path

import pytest

from models.artifact import DamagedArtifact, Manifest, read_manifest, seal, verify, writing


def publish(folder: Path) -> None:
    with writing(folder) as draft:
        (draft / "inner").mkdir()
        (draft / "inner" / "weights.bin").write_bytes(b"weights")
        seal(draft, Manifest(name="ranker", kind="dlrm", metrics={"ndcg": 0.5}, lineage={"seed": "1"}))


def test_what_was_sealed_is_read_back(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    assert verify(tmp_path / "a") == read_manifest(tmp_path / "a")
    assert verify(tmp_path / "a").metrics == {"ndcg": 0.5}


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), writing(tmp_path / "a") as draft:
        (draft / "half").write_text("half")
        raise OSError("no space left on disk")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    (tmp_path / "a" / "inner" / "weights.bin").write_bytes(b"weighty")
    with pytest.raises(DamagedArtifact, match=r"weights.bin is damaged"):
        verify(tmp_path / "a")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    (tmp_path / "a" / "inner" / "weights.bin").unlink()
    with pytest.raises(DamagedArtifact, match=r"weights.bin is missing"):
        verify(tmp_path / "a")


def test_a_folder_without_a_manifest_is_not_an_artifact(tmp_path: Path) -> None:
    with pytest.raises(DamagedArtifact, match=r"manifest.json"):
        verify(tmp_path)


def test_an_artifact_is_never_overwritten(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    with pytest.raises(FileExistsError, match="never overwritten"):
        publish(tmp_path / "a")
