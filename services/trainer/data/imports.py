"""A data set by name into the lake."""

from __future__ import annotations

from pathlib import Path

from services.runtime.errors import SettingsError
from services.trainer.data.lake import SNAPSHOT, Snapshot, import_movielens, read_snapshot
from services.trainer.data.sources import SOURCES
from services.trainer.data.synthetic import SyntheticConfig, import_synthetic

SYNTHETIC = "synthetic"
DEFAULT = "ml-1m"
"""What an empty lake is filled with when nobody says anything."""


def import_data(name: str, data_dir: Path, synthetic: SyntheticConfig | None = None) -> Snapshot:
    """Fills data_dir/lake with ml-1m, ml-100k or a synthetic catalog; a lake that holds it already is left as it is.

    An empty name stands for what the lake holds. SettingsError for an unknown name or a lake that holds something else.
    """
    lake = data_dir / "lake"
    present = read_snapshot(lake) if (lake / SNAPSHOT).is_file() else None
    name = name or (present.dataset if present else DEFAULT)
    if present is not None and present.dataset == name:
        return present
    if name != SYNTHETIC and name not in SOURCES:
        names = ", ".join((*SOURCES, SYNTHETIC))
        raise SettingsError(
            f"There is no data set {name!r}; choose one of {names}, "
            "or bring your own files with: python -m services.trainer import",
            field="dataset",
        )
    if present is not None:
        raise SettingsError(f"{lake} holds {present.dataset}, not {name}. Name another data folder, or remove it.")
    if name == SYNTHETIC:
        return import_synthetic(lake, synthetic or SyntheticConfig())
    return import_movielens(name, data_dir / "raw", lake)
