"""What was measured, as files of a folder: one per model and seed, each written whole or not at all."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.errors import NotFound, SettingsError
from services.trainer.evaluation.about import About
from services.trainer.p1 import TargetRanks

ABOUT = "about.json"


@dataclass(frozen=True, slots=True)
class Result:
    """One model of one seed under P1; T users with a target, in the order of `Interactions.targets()`."""

    model: str
    seed: int
    fit_seconds: float
    revision: str
    """Of the code that fitted it."""
    chosen: NDArray[np.int64]
    """(T,) places in `targets()` of the users that were judged."""
    ranks: TargetRanks
    """(T,)"""
    lists: NDArray[np.int32]
    """(T, 10) places in the lake's items."""
    sources: Mapping[str, TargetRanks] = field(default_factory=dict)
    """Of our retrieval: (T,) the target's rank in each source's own list, infinite where it is not on it."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The results of one evaluation."""

    path: Path

    def begin(self, about: About) -> About:
        """What stands in the folder, `about` when nothing does. SettingsError when it is of another evaluation."""
        file = self.path / ABOUT
        if not file.is_file():
            write(file, json.dumps(asdict(about), indent=2).encode())
            return about
        present = self.about()
        if not present.is_of(about):
            raise SettingsError(
                f"{self.path} holds an evaluation of other data or another size (begun {present.begun}). "
                "Name another folder with --out, or remove it.",
                field="out",
            )
        return present

    def about(self) -> About:
        """NotFound when no evaluation was begun here."""
        file = self.path / ABOUT
        try:
            return About(**json.loads(file.read_text()))
        except FileNotFoundError as error:
            raise NotFound(
                f"{self.path} holds no evaluation. Run one with: python -m services.trainer evaluate"
            ) from error
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{file} is damaged: {error}. Remove {self.path} and evaluate again.") from error

    def has(self, model: str, seed: int) -> bool:
        """Whether this fit is done."""
        return self._file(model, seed).is_file()

    def keep(self, result: Result) -> None:
        """Writes one fit."""
        told = {name: getattr(result, name) for name in ("model", "seed", "fit_seconds", "revision")}
        arrays = {f"source:{name}": ranks.astype(np.float32) for name, ranks in result.sources.items()}
        file = io.BytesIO()
        np.savez_compressed(
            file,
            allow_pickle=False,
            about=np.array(json.dumps(told)),
            chosen=result.chosen,
            ranks=result.ranks,
            lists=result.lists,
            **arrays,
        )
        write(self._file(result.model, result.seed), file.getvalue())

    def results(self) -> list[Result]:
        """Every fit that is done, by model and seed."""
        return sorted(map(_read, (self.path / "p1").glob("*.npz")), key=lambda result: (result.model, result.seed))

    def has_rated(self, seed: int) -> bool:
        """Whether P2 of this seed is done."""
        return self._rated_file(seed).is_file()

    def keep_rated(self, seed: int, told: Mapping[str, Any]) -> None:
        """Writes P2 of one seed."""
        write(self._rated_file(seed), json.dumps(told, indent=1).encode())

    def rated(self) -> dict[int, Any]:
        """P2 as it was kept, by seed."""
        found = {}
        for file in sorted((self.path / "p2").glob("*.json")):
            try:
                found[int(file.stem)] = json.loads(file.read_text())
            except ValueError as error:
                raise SettingsError(f"{file} is damaged: {error}. Remove it and evaluate again.") from error
        return found

    def _file(self, model: str, seed: int) -> Path:
        return self.path / "p1" / f"{model}.{seed}.npz"

    def _rated_file(self, seed: int) -> Path:
        return self.path / "p2" / f"{seed}.json"


def write(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)


def _read(path: Path) -> Result:
    try:
        # numpy leaves a file open that it finds to be damaged, so it is given the bytes.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            told = json.loads(str(file["about"]))
            sources = {
                name.removeprefix("source:"): file[name].astype(np.float64) for name in file.files if ":" in name
            }
            return Result(chosen=file["chosen"], ranks=file["ranks"], lists=file["lists"], sources=sources, **told)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path} is damaged: {error}. Remove it and evaluate again.") from error
