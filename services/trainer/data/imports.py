"""A data set by name into the lake."""

from __future__ import annotations

from pathlib import Path

from services.runtime.errors import SettingsError
from services.trainer.data.lake import SNAPSHOT, Snapshot, import_movielens, read_snapshot
from services.trainer.data.sources import SOURCES
from services.trainer.data.synthetic import SyntheticConfig, import_synthetic

SYNTHETIC = "synthetic"


def import_data(name: str, data_dir: Path, synthetic: SyntheticConfig | None = None) -> Snapshot:
    """Fills data_dir/lake with ml-1m, ml-100k or a synthetic catalog; a lake that holds it already is left as it is.

    SettingsError for an unknown name or a lake that holds something else.
    """
    lake = data_dir / "lake"
    if name != SYNTHETIC and name not in SOURCES:
        names = ", ".join((*SOURCES, SYNTHETIC))
        raise SettingsError(f"There is no data set {name!r}; choose one of {names}.", field="dataset")
    if (lake / SNAPSHOT).is_file():
        present = read_snapshot(lake)
        if present.dataset != name:
            raise SettingsError(f"{lake} holds {present.dataset}, not {name}. Name another data folder, or remove it.")
        return present
    if name == SYNTHETIC:
        return import_synthetic(lake, synthetic or SyntheticConfig())
    return import_movielens(name, data_dir / "raw", lake)
