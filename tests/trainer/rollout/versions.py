"""A registry with small versions that are real artifacts."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from models.artifact import Manifest, seal, writing
from services.runtime.registry import Registry
from services.trainer.rollout.aliases import MODELS

QUARTET = ("two_tower", "co_visitation", "popularity", "ease")


class Versions:
    """Publishes versions of every model; those of one training share their moment."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.registry = Registry.open(self.data_dir)
        self._drafts = folder / "drafts"

    def add(
        self,
        name: str,
        trained: str = "",
        alias: str | None = None,
        tags: dict[str, str] | None = None,
        kind: str = "dlrm",
        config: dict[str, Any] | None = None,
    ) -> str:
        """One version; `trained` is its moment of training."""
        made = uuid.uuid4().hex
        with writing(self._drafts / made) as draft:
            (draft / "model.onnx").write_text(made)
            seal(draft, Manifest(name=name, kind=kind, lineage={"created_at": trained or made}, config=config or {}))
        return self.registry.publish(name, self._drafts / made, alias, tags)

    def add_all(self, trained: str, alias: str | None = None) -> dict[str, str]:
        """One version of every model, trained together."""
        return {name: self.add(name, trained, alias) for name in MODELS}

    def aliases(self, name: str) -> dict[str, str]:
        """What serves, what is tried, what served before."""
        return self.registry.aliases(name)
