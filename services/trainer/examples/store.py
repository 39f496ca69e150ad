"""Datasets that are never changed: one folder each, named by the hash of what is in it.

store = DatasetStore(data_dir / "datasets")
version = store.save(examples)          # content hash; saving the same again changes nothing
store.load(version)                     # the same examples, or DamagedArtifact
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.artifact import DamagedArtifact, Manifest, read_manifest, seal, verify, writing
from services.runtime.errors import NotFound
from services.trainer.examples.examples import Examples

ROWS_FILE, SLATES_FILE, FEATURES_FILE = "rows.parquet", "slates.parquet", "features.parquet"
_PER_SLATE = ("group_sizes", "recommendation_ids")


@dataclass(frozen=True, slots=True)
class DatasetStore:
    """Datasets in a folder."""

    root: Path

    def save(self, examples: Examples) -> str:
        """Keeps the examples, whole or not at all; returns their version, the content hash."""
        version = examples.content_hash
        if (self.root / version).is_dir():
            return version
        try:
            with writing(self.root / version) as draft:
                _write(examples, draft)
        except OSError:
            # Two that save the same at once: one of them comes second, and finds what it wanted to write.
            if not (self.root / version).is_dir():
                raise
        return version

    def load(self, version: str) -> Examples:
        """The dataset of a version. NotFound without one, DamagedArtifact when it is not what was saved."""
        folder = self.root / version
        if not folder.is_dir():
            raise NotFound(f"There is no dataset {version} in {self.root}.", field="dataset")
        manifest = verify(folder)
        examples = _read(folder, tuple(manifest.spec["columns"]))
        if examples.content_hash != version:
            raise DamagedArtifact(f"{folder} does not hold the dataset it is named after. Remove it and read anew.")
        return examples

    def versions(self) -> list[str]:
        """Versions of the datasets kept, the newest first."""
        kept = [path for path in self.root.glob("*") if path.is_dir() and not path.name.startswith(".")]
        return [path.name for path in sorted(kept, key=_saved_at, reverse=True)]

    def prune(self, keep: int) -> None:
        """Removes all datasets but the newest `keep`."""
        for version in self.versions()[keep:]:
            shutil.rmtree(self.root / version, ignore_errors=True)


def _saved_at(folder: Path) -> tuple[str, str]:
    try:
        return read_manifest(folder).lineage.get("created_at", ""), folder.name
    except DamagedArtifact:
        return "", folder.name


def _write(examples: Examples, draft: Path) -> None:
    names = [field.name for field in fields(examples) if field.name not in ("columns", "features")]
    rows = {name: getattr(examples, name) for name in names if name not in _PER_SLATE}
    pl.DataFrame(rows).write_parquet(draft / ROWS_FILE)
    pl.DataFrame({name: getattr(examples, name) for name in _PER_SLATE}).write_parquet(draft / SLATES_FILE)
    features = pl.DataFrame(examples.features, schema=list(examples.columns))
    features.write_parquet(draft / FEATURES_FILE)
    described = Manifest(
        name="examples",
        kind="dataset",
        lineage={"created_at": datetime.now(UTC).isoformat(timespec="microseconds")},
        metrics={
            "rows": len(examples),
            "slates": examples.group_sizes.size,
            "clicks": int((examples.labels > 0).sum()),
        },
        spec={"columns": list(examples.columns)},
    )
    seal(draft, described)


def _read(folder: Path, columns: tuple[str, ...]) -> Examples:
    tables = [pl.read_parquet(folder / name) for name in (ROWS_FILE, SLATES_FILE)]
    features = pl.read_parquet(folder / FEATURES_FILE).select(columns).to_numpy()
    arrays: dict[str, Any] = {name: _array(table[name]) for table in tables for name in table.columns}
    return Examples(columns=columns, features=np.ascontiguousarray(features, np.float32), **arrays)


def _array(values: pl.Series) -> NDArray[np.generic]:
    return np.array(values.to_list(), np.str_) if values.dtype == pl.String else values.to_numpy()
