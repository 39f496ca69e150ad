"""An artifact is a folder that carries everything that made a model, sealed by checksums.

with writing(folder) as draft:                      # a temporary sibling
    save_file(weights, draft / "weights.safetensors")
    seal(draft, Manifest(name="two_tower", ...))    # writes manifest.json last
# here the folder exists whole, or not at all

manifest = verify(folder)                           # raises DamagedArtifact, naming the file
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


class DamagedArtifact(Exception):
    """A file of an artifact is missing or is not the one that was sealed."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact says about itself."""

    name: str
    """Registered name: two_tower, co_visitation, popularity, ranker."""
    kind: str
    """The class that loads it, for example lambdamart or dlrm."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Evaluation results; an interval is two more keys with the suffixes _low and _high."""
    lineage: dict[str, str] = field(default_factory=dict)
    """data_snapshot (content hash), code_revision, seed, created_at (RFC 3339) and parents."""
    spec: dict[str, Any] = field(default_factory=dict)
    """The feature spec with normalizer statistics and vocabularies, as JSON."""
    config: dict[str, Any] = field(default_factory=dict)
    """Hyper-parameters."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of every other file, by path inside the folder."""


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` by one atomic rename when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield draft
        if folder.exists():
            raise FileExistsError(f"{folder} exists already; an artifact is never overwritten.")
        os.chmod(draft, 0o755)
        os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Writes the manifest with the checksum of every file in `folder`; call it last."""
    files = {
        str(path.relative_to(folder)): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    sealed = replace(manifest, files=files)
    (folder / MANIFEST).write_text(json.dumps(asdict(sealed), indent=2, sort_keys=True))
    return sealed


def annotate(folder: Path, metrics: dict[str, float]) -> Manifest:
    """Adds metrics that could only be measured once the artifact existed. Not for a published one."""
    manifest = verify(folder)
    extended = replace(manifest, metrics={**manifest.metrics, **metrics})
    draft = folder / f".{MANIFEST}"
    draft.write_text(json.dumps(asdict(extended), indent=2, sort_keys=True))
    draft.replace(folder / MANIFEST)
    return extended


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, without checking the files."""
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text()))
    except FileNotFoundError as error:
        raise DamagedArtifact(f"{folder} holds no {MANIFEST}; it is not a complete artifact.") from error
    except (ValueError, TypeError) as error:
        raise DamagedArtifact(f"{folder / MANIFEST} cannot be read: {error}") from error


def verify(folder: Path) -> Manifest:
    """The manifest, after every file was found with the checksum it was sealed with."""
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise DamagedArtifact(f"{path} is missing from the artifact {manifest.name}.")
        if _sha256(path) != expected:
            raise DamagedArtifact(f"{path} is damaged: its checksum differs from the manifest's. Train again.")
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
