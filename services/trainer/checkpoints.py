"""A fit that was killed goes on where it was: its state as one safetensors file, replaced by one atomic rename."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

_STATE = "state"
_FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True)
class Saved:
    """What a fit needs to go on."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    """JSON values."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where one fit keeps its state. Whoever publishes the result removes the file."""

    path: Path
    fingerprint: str
    """Of all that decides the result; a file with another one belongs to another fit."""

    def read(self) -> Saved | None:
        """What was kept, or None where there is nothing of this fit, or nothing whole."""
        try:
            with safe_open(self.path, framework="pt") as file:
                about = file.metadata() or {}
                if about.get(_FINGERPRINT) != self.fingerprint:
                    return None
                names = file.keys()
                return Saved({name: file.get_tensor(name) for name in names}, json.loads(about[_STATE]))
        except (FileNotFoundError, SafetensorError):
            return None

    def write(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Replaces what was kept; a kill at any moment leaves the old state or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.draft")
        about = {_FINGERPRINT: self.fingerprint, _STATE: json.dumps(state)}
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, draft, about)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(self.path)


def fingerprint(*parts: NDArray[Any] | Tensor | str | Mapping[str, Any]) -> str:
    """SHA-256 of arrays, sentences and JSON objects, in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, (np.ndarray, Tensor)):
            array = np.ascontiguousarray(part.detach().cpu().numpy() if isinstance(part, Tensor) else part)
            digest.update(f"{array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
        else:
            text = part if isinstance(part, str) else json.dumps(part, sort_keys=True)
            digest.update(f"text {len(text)}\n{text}".encode())
    return digest.hexdigest()


def optimizer_tensors(optimizer: Optimizer, names: list[str]) -> dict[str, Tensor]:
    """The moments as "<parameter>/<slot>"; `names` are those of the parameters in the optimiser's order."""
    state = optimizer.state_dict()["state"]
    return {f"{names[place]}/{slot}": value for place, slots in state.items() for slot, value in slots.items()}


def optimizer_groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Rates, betas and the like, as JSON values."""
    groups: list[dict[str, Any]] = optimizer.state_dict()["param_groups"]
    return groups


def restore_optimizer(
    optimizer: Optimizer, names: list[str], tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """The reverse of optimizer_tensors and optimizer_groups."""
    place = {name: number for number, name in enumerate(names)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, slot = key.rpartition("/")
        state.setdefault(place[name], {})[slot] = value
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def random_tensors(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators: the CPU's, and that of the GPU in use."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random(device: torch.device, states: Mapping[str, Tensor]) -> None:
    """The reverse of random_tensors; a fit that moved to another kind of device keeps that one's own draws."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
