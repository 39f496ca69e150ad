"""Two towers as an artifact folder: what is served, and what a later fit starts from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from models.artifact import DamagedArtifact, Manifest, read_manifest, seal, writing
from models.content_tower import TOKEN_VECTORS_FILE
from models.item_content import ItemContent
from models.tower_fingerprint import FINGERPRINT, fingerprint
from models.tower_inputs import PROFILE_FIELDS, TowerInputs, profiles_from_json
from models.two_tower import ServedUser, TwoTower
from models.user import HISTORY_LENGTH
from models.user_tower import ITEM_IDS_FILE, ITEM_VECTORS_FILE, MODEL_FILE, USER_IDS_FILE

WEIGHTS_FILE = "weights.safetensors"


def write_tower(towers: TwoTower, inputs: TowerInputs, content: ItemContent, folder: Path, manifest: Manifest) -> None:
    """Writes and seals the folder; `manifest` gets the vocabularies as its spec, and what ties the two halves."""
    towers.eval()
    with torch.no_grad():
        items = F.normalize(towers.items(), dim=1).numpy()
    with writing(folder) as draft:
        np.save(draft / ITEM_IDS_FILE, inputs.item_ids)
        np.save(draft / ITEM_VECTORS_FILE, items)
        np.save(draft / USER_IDS_FILE, inputs.user_ids)
        np.save(draft / TOKEN_VECTORS_FILE, towers.items.content.weight.detach().numpy())
        save_file({name: value.contiguous() for name, value in towers.state_dict().items()}, draft / WEIGHTS_FILE)
        export_user_tower(towers, draft / MODEL_FILE)
        seal(
            draft,
            replace(
                manifest,
                spec={**inputs.to_json(), "tokens": list(content.vocabulary)},
                config={**manifest.config, FINGERPRINT: fingerprint(draft)},
            ),
        )


def export_user_tower(towers: TwoTower, path: Path) -> None:
    """Writes ONNX: history (B, L), waited (B, L + 1), length (B,), user (B,) and profile (B, P) -> vector (B, D), or
    (B, K, D) for several interests."""
    examples = (
        torch.zeros(2, HISTORY_LENGTH // 2, dtype=torch.int64),
        torch.zeros(2, HISTORY_LENGTH // 2 + 1, dtype=torch.int64),
        torch.ones(2, dtype=torch.int64),
        torch.zeros(2, dtype=torch.int64),
        torch.zeros(2, len(PROFILE_FIELDS), dtype=torch.int64),
    )
    users, length = torch.export.Dim("B"), torch.export.Dim("L", min=1, max=HISTORY_LENGTH)
    with _quiet_exporter():
        torch.onnx.export(
            ServedUser(towers).eval(),
            examples,
            path,
            input_names=["history", "waited", "length", "user", "profile"],
            output_names=["vector"],
            dynamic_shapes=({0: users, 1: length}, {0: users, 1: length + 1}, {0: users}, {0: users}, {0: users}),
            external_data=False,
            dynamo=True,
            verbose=False,
        )


def take_over(towers: TwoTower, inputs: TowerInputs, content: ItemContent, folder: Path) -> None:
    """Copies every weight of an earlier artifact whose item, user, attribute or token still exists.

    Raises DamagedArtifact when the folder is not whole or its towers have another shape.
    """
    spec = read_manifest(folder).spec
    earlier = TowerInputs(np.load(folder / ITEM_IDS_FILE), np.load(folder / USER_IDS_FILE), profiles_from_json(spec))
    tables = {
        "items.ids": earlier.item_rows(inputs.item_ids),
        "items.content.weight": _places(content.vocabulary, spec["tokens"]),
        "user.users.weight": np.append(0, np.where((rows := earlier.user_rows(inputs.user_ids)) > 0, rows, -1)),
        "user.profile.weight": _places(_profile_names(inputs), _profile_names(earlier)),
    }
    try:
        _copy(towers, load_file(folder / WEIGHTS_FILE), tables)
    except (OSError, KeyError, RuntimeError) as error:
        raise DamagedArtifact(f"{folder} cannot be the start of a fit: {error}") from error


def interests_of(folder: Path) -> int:
    """How many interests of a user the towers of an artifact tell; 1 where its manifest does not say."""
    return int(read_manifest(folder).config.get("towers", {}).get("interests", 1))


def weights_hash(folder: Path) -> str:
    """SHA-256 of the weights in a sealed artifact folder."""
    return read_manifest(folder).files[WEIGHTS_FILE]


def _copy(towers: TwoTower, weights: Mapping[str, Tensor], tables: Mapping[str, NDArray[np.int64]]) -> None:
    """`tables` names the row of the earlier table for each row of the new one, -1 where there is none."""
    states = towers.state_dict()
    if surplus := weights.keys() - states.keys():
        raise KeyError(f"{min(surplus)} has no place in the new towers")
    with torch.no_grad():
        for name, value in states.items():
            if name not in tables:
                value.copy_(weights[name])
                continue
            rows = tables[name]
            here = torch.from_numpy(np.flatnonzero(rows >= 0))
            value[here] = weights[name][torch.from_numpy(rows[rows >= 0])]


def _places(names: Sequence[str], earlier: Sequence[str]) -> NDArray[np.int64]:
    place = {name: row for row, name in enumerate(earlier)}
    return np.array([place.get(name, -1) for name in names], np.int64)


def _profile_names(inputs: TowerInputs) -> list[str]:
    return [f"{field}={value}" for field, values in inputs.profiles.items() for value in ("", *values)]


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns of its own internals, which nobody here can act on."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
