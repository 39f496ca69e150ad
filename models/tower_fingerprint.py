"""What ties the halves of a tower: users and items of different trainings lie in different spaces.

An artifact whose user tower was exchanged can be sealed again and verifies; only the fingerprint, written once by the
export that made both halves, still tells.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from models.artifact import DamagedArtifact, read_manifest

FINGERPRINT = "fingerprint"
"""In the config of a two_tower manifest."""
TIED_FILES = ("item_ids.npy", "item_vectors.npy", "user_ids.npy", "user_tower.onnx")
"""What one export writes together."""


def fingerprint(folder: Path) -> str:
    """SHA-256 over the tied files of an artifact. OSError when one is missing."""
    digest = hashlib.sha256()
    for name in TIED_FILES:
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def is_tied(folder: Path) -> bool | None:
    """Whether the files are those of one export; None when the manifest does not say what they were."""
    sealed = read_manifest(folder).config.get(FINGERPRINT)
    return None if sealed is None else bool(sealed == fingerprint(folder))


def require_tied(folder: Path) -> None:
    """DamagedArtifact when the manifest says that the files are not those of one export."""
    if is_tied(folder) is False:
        raise DamagedArtifact(f"{folder}: stale tower: its user tower and its item vectors are not of one export")
