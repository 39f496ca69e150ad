"""Which features each version of the ranker computed, remembered for longer than its files are kept.

Rows logged by one version teach another only when both read the catalog through the same vocabularies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.runtime.registry import Registry

FILE = "vocabularies.json"


class Vocabularies:
    """data_dir/training/vocabularies.json: version of the ranker -> fingerprint of its features."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "training" / FILE

    def read(self) -> dict[str, str]:
        """All that is known; empty without a file that can be read."""
        try:
            return dict(json.loads(self._path.read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    def remember(self, registry: Registry) -> dict[str, str]:
        """Adds the versions the registry holds, and returns everything."""
        known = self.read()
        missing = {
            version.version: fingerprint(version.manifest.spec)
            for version in registry.versions("ranker")
            if version.version not in known
        }
        if missing:
            known |= missing
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_name(f".{FILE}")
            draft.write_text(json.dumps(known))
            draft.replace(self._path)
        return known


def fingerprint(spec: Mapping[str, Any]) -> str:
    """Equal for specs that differ in their statistics only: rows are logged before these are applied."""
    features = {name: value for name, value in spec.items() if name != "normalizer"}
    return hashlib.sha256(json.dumps(features, sort_keys=True).encode()).hexdigest()
