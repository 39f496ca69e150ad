"""What the heads of the ranker weigh, as the registry keeps it: one note that the trainer writes, rankers follow."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from models.heads import Heads
from services.pb import common_pb2
from services.runtime.errors import Conflict
from services.runtime.registry import Registry

MODEL, NOTE = "ranker", "objectives"


def noted_objectives(registry: Registry) -> dict[str, float]:
    """Weight by head, of the heads somebody weighed; empty when nobody did. ValueError for a note nobody can read."""
    text = registry.noted(MODEL, NOTE)
    if not text:
        return {}
    found = json.loads(text)
    if not isinstance(found, dict) or not all(_is_weight(value) for value in found.values()):
        raise ValueError(f"The registry's note of the objectives holds no weights: {text[:100]!r}.")
    return {str(head): float(value) for head, value in found.items()}


def note_objectives(registry: Registry, weights: Mapping[str, float]) -> None:
    """Keeps the weights for every ranker, whatever serves later. Blocks."""
    registry.note(MODEL, NOTE, json.dumps(dict(weights)))


def no_heads(version: str, kind: str) -> Conflict:
    """Why nothing can be weighed, and what to do."""
    return Conflict(
        f"The champion of {MODEL!r} is version {version} ({kind}), which gives one score and has no heads to weigh. "
        f"Promote a version of kind mmoe; python -m services.trainer train --rankers mmoe,lambdamart trains one.",
        field="weights",
    )


def objectives_to_proto(version: str, kind: str, heads: Heads, asked: Mapping[str, float]) -> common_pb2.Objectives:
    """The heads of a version and what each weighs under `asked`."""
    defaults = dict(zip(heads.names, heads.defaults, strict=True))
    return common_pb2.Objectives(
        model_version=version, model_kind=kind, heads=heads.names, weights=heads.weights(asked), defaults=defaults
    )


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
