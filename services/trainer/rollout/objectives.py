"""Weighing the heads by hand: checked against what serves, then written for every ranker to follow."""

from __future__ import annotations

from collections.abc import Mapping

from models.heads import Heads, wrong_with
from services.pb import common_pb2
from services.runtime.errors import InvalidArgument
from services.runtime.objectives import no_heads, note_objectives, objectives_to_proto
from services.runtime.registry import CHAMPION, Registry
from services.trainer.rollout.aliases import RANKER


def set_objectives(registry: Registry, weights: Mapping[str, float]) -> common_pb2.Objectives:
    """Replaces what each head weighs; a head that is left out weighs nothing. Blocks.

    Conflict when the champion has no heads, InvalidArgument, naming `weights`, for weights that order nothing.
    """
    with registry.exclusive():
        champion = registry.resolve(RANKER, CHAMPION)
        heads = Heads.of(champion.manifest.config)
        if heads is None:
            raise no_heads(champion.version, champion.manifest.kind)
        if reason := wrong_with(weights, heads):
            raise InvalidArgument(reason, field="weights")
        note_objectives(registry, weights)
    return objectives_to_proto(champion.version, champion.manifest.kind, heads, weights)
