"""What a fit in other processes needs, and what it answers, as files of a folder: arrays, weights and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.item_content import ItemContent
from models.list_fit import ListFitConfig
from models.networks import Shape, kind_of, shape_from_json
from models.normalizer import Normalizer
from models.rows import LabelledRows, RowLayout
from models.tower_inputs import TowerInputs, profiles_from_json
from models.two_tower import TwoTowerConfig
from services.trainer.compute import Compute, DeviceName
from services.trainer.ranking_lists import fit_lists
from services.trainer.tower_fit import TowerData, TowerFitConfig, fit_tower
from services.trainer.tower_windows import Sequences
from services.trainer.training_loop import Progress

_ABOUT, _ARRAYS, _START, _WEIGHTS, _METRICS = (
    "about.json", "arrays.npz", "start.safetensors", "weights.safetensors", "metrics.json"
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class TowerRequest:
    """The arguments of fit_tower."""

    device: DeviceName
    seed: int
    checkpoint: Path | None
    start: Mapping[str, Tensor] | None
    """Weights of a warm start."""
    data: TowerData
    shape: TwoTowerConfig
    config: TowerFitConfig

    def write(self, folder: Path) -> None:
        """Fills an empty folder."""
        inputs, content, sequences = self.data.inputs, self.data.content, self.data.sequences
        about = {
            "kind": "two_tower", "shape": asdict(self.shape), "config": asdict(self.config), **inputs.to_json(),
            "vocabulary": content.vocabulary, "padding": sequences.padding,
        }  # fmt: skip
        arrays = {
            "item_ids": inputs.item_ids, "user_ids": inputs.user_ids, "tokens": content.tokens,
            "content": content.offsets, "offsets": sequences.offsets, "items": sequences.items,
            "times_ms": sequences.times_ms, "profiles": self.data.profiles,
        }  # fmt: skip
        _write(folder, self, about, arrays)

    @classmethod
    def of(cls, about: dict[str, Any], start: Mapping[str, Tensor] | None, arrays: Mapping[str, Any]) -> TowerRequest:
        """The reverse of write."""
        data = TowerData(
            TowerInputs(arrays["item_ids"], arrays["user_ids"], profiles_from_json(about)),
            ItemContent(tuple(about["vocabulary"]), arrays["tokens"], arrays["content"]),
            Sequences(arrays["offsets"], arrays["items"], arrays["times_ms"], about["padding"]),
            arrays["profiles"],
        )
        shape, config = TwoTowerConfig(**about["shape"]), TowerFitConfig(**about["config"])
        return cls(about["device"], about["seed"], _path(about), start, data, shape, config)

    def fit(self, compute: Compute, progress: Progress) -> tuple[nn.Module, dict[str, float]]:
        """The towers and their metrics."""
        start = self.start
        begin = None if start is None else lambda towers: towers.load_state_dict(start)
        return fit_tower(
            self.data, self.shape, self.config, self.seed, begin, progress, compute=compute, checkpoint=self.checkpoint
        )


@dataclass(frozen=True, eq=False)
class ListRequest:
    """The arguments of fit_lists."""

    device: DeviceName
    seed: int
    checkpoint: Path | None
    start: Mapping[str, Tensor] | None
    train: LabelledRows
    held_out: LabelledRows
    layout: RowLayout
    shape: Shape
    config: ListFitConfig

    def write(self, folder: Path) -> None:
        """Fills an empty folder."""
        layout = self.layout
        about = {
            "kind": kind_of(self.shape), "shape": asdict(self.shape), "config": asdict(self.config),
            "numeric": layout.numeric_columns,
            "categorical": list(layout.cardinalities.items()),
            "normalizer": None if layout.normalizer is None else layout.normalizer.to_json(),
        }  # fmt: skip
        arrays = {**_rows_to("train", self.train), **_rows_to("held_out", self.held_out)}
        _write(folder, self, about, arrays)

    @classmethod
    def of(cls, about: dict[str, Any], start: Mapping[str, Tensor] | None, arrays: Mapping[str, Any]) -> ListRequest:
        """The reverse of write."""
        normalizer = None if about["normalizer"] is None else Normalizer.from_json(about["normalizer"])
        layout = Layout(tuple(about["numeric"]), dict(about["categorical"]), normalizer)
        shape = shape_from_json(about["kind"], about["shape"])
        config = ListFitConfig(**{field.name: about["config"][field.name] for field in fields(ListFitConfig)})
        train, held_out = _rows_of("train", arrays), _rows_of("held_out", arrays)
        return cls(about["device"], about["seed"], _path(about), start, train, held_out, layout, shape, config)

    def fit(self, compute: Compute, progress: Progress) -> tuple[nn.Module, dict[str, float]]:
        """The network; it has no metrics."""
        network = fit_lists(
            self.train, self.held_out, self.layout, self.shape, self.config, self.seed, progress,
            start=self.start, compute=compute, checkpoint=self.checkpoint,
        )  # fmt: skip
        return network, {}


Request = TowerRequest | ListRequest


@dataclass(frozen=True, slots=True)
class Layout:
    """A RowLayout that was written down."""

    numeric_columns: tuple[str, ...]
    cardinalities: Mapping[str, int]
    normalizer: Normalizer | None


def read_request(folder: Path) -> Request:
    """What a request wrote into the folder."""
    about = json.loads((folder / _ABOUT).read_text())
    start = load_file(folder / _START) if (folder / _START).exists() else None
    with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in arrays.files}
    return (TowerRequest if about["kind"] == "two_tower" else ListRequest).of(about, start, columns)


def write_answer(folder: Path, model: nn.Module, metrics: Mapping[str, float]) -> None:
    """What read_answer reads."""
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / _WEIGHTS)
    (folder / _METRICS).write_text(json.dumps(dict(metrics)))


def read_answer(folder: Path) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The weights and the metrics of the fit."""
    return load_file(folder / _WEIGHTS), json.loads((folder / _METRICS).read_text())


def _write(folder: Path, request: Request, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    checkpoint = None if request.checkpoint is None else str(request.checkpoint.resolve())
    common = {"device": request.device, "seed": request.seed, "checkpoint": checkpoint}
    (folder / _ABOUT).write_text(json.dumps({**about, **common}))
    np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)
    if request.start is not None:
        save_file({name: value.contiguous() for name, value in request.start.items()}, folder / _START)


def _path(about: Mapping[str, Any]) -> Path | None:
    return None if about["checkpoint"] is None else Path(about["checkpoint"])


def _rows_to(name: str, rows: LabelledRows) -> dict[str, NDArray[Any]]:
    columns = {field.name: getattr(rows, field.name) for field in fields(rows)}
    return {f"{name}/{column}": values for column, values in columns.items() if values is not None}


def _rows_of(name: str, arrays: Mapping[str, Any]) -> LabelledRows:
    columns: dict[str, Any] = {field.name: arrays.get(f"{name}/{field.name}") for field in fields(LabelledRows)}
    return LabelledRows(**columns)
