"""The columns of all files of an import, and what its content is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.trainer.data.tabular.request import ImportRequest
from services.trainer.data.tabular.roles import INTERACTION_NAMES, ITEM_NAMES, NONE, USER_NAMES, Column, Names, assign

OPTIONS: Mapping[str, str] = {role: f"--{role}" for role in INTERACTION_NAMES}
"""Role of a column of the interactions -> how a person names it."""
REQUIRED = {"user", "item", "time"}
"""Roles that the interactions need a column for; rows in their order may do without times if that is told."""


def columns_of(request: ImportRequest, present: Mapping[Path, Sequence[str]]) -> dict[Path, dict[str, Column]]:
    """Role -> column for each file. An id is looked for under the name that it has among the interactions, too."""
    found = {
        request.interactions: assign(
            request.interactions,
            present[request.interactions],
            INTERACTION_NAMES,
            request.columns,
            REQUIRED - {role for role, name in request.columns.items() if (role, name) == ("time", NONE)},
            OPTIONS,
        )
    }
    files: tuple[tuple[Path | None, str, Names, Mapping[str, str]], ...] = (
        (request.items, "item", ITEM_NAMES, request.item_columns),
        (request.users, "user", USER_NAMES, request.user_columns),
    )
    for path, role, names, told in files:
        if path is None:
            continue
        same = found[request.interactions][role].name
        own = {role: same, **told} if same in present[path] else told
        options = {name: f"--column {role}s.{name}=…" for name in names}
        found[path] = assign(path, present[path], names, own, {role}, options)
    return found


def content_hash(request: ImportRequest, columns: Mapping[Path, Mapping[str, Column]]) -> str:
    """SHA-256 over the files and how they are read."""
    digest = hashlib.sha256()
    for path, roles in columns.items():
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(json.dumps({role: column.name for role, column in roles.items()}).encode())
    digest.update(f"{request.scale} {request.time_unit} {request.delimiter} {request.header}".encode())
    return digest.hexdigest()
