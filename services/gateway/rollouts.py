"""Which models are tried on whom, as the trainer tells it and as a person may decide it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import grpc

from services.gateway.clients import objectives_of
from services.gateway.nouns import Objectives
from services.pb import trainer_pb2, trainer_pb2_grpc
from services.runtime.client import call

PEER = "trainer"
CHANGE_SECONDS = 10.0
"""A change checks files and moves aliases; nobody's recommendation waits for it."""


class Rollouts:
    """The trainer's Rollouts rpcs. Failures are errors of the tree, naming the trainer.

    await Rollouts(channel, timeout=2.0).rollback("ranker")            # {"ranker": "11"}
    """

    def __init__(self, channel: grpc.aio.Channel, timeout: float) -> None:
        """A question may take `timeout` seconds."""
        self._stub = trainer_pb2_grpc.RolloutsStub(channel)
        self._timeout = timeout

    async def current(self) -> dict[str, Any]:
        """The rollout on its way, or how the last one ended, as REST shows it."""
        request = trainer_pb2.RolloutRequest()
        return _told(await call(self._stub.GetRollout, request, timeout=self._timeout, peer=PEER))

    async def promote(self, name: str, version: str) -> dict[str, str]:
        """Makes a version, or the challenger when it is empty, the champion; the champions that changed."""
        change = trainer_pb2.ModelChange(name=name, version=version)
        answer = await call(self._stub.Promote, change, timeout=CHANGE_SECONDS, peer=PEER)
        return dict(answer.champions)

    async def weigh(self, weights: Mapping[str, float]) -> Objectives:
        """Weighs the heads of the ranker anew. Conflict when the champion has none, InvalidArgument for weights that
        order nothing."""
        change = trainer_pb2.ObjectivesChange(weights=weights)
        return objectives_of(await call(self._stub.SetObjectives, change, timeout=CHANGE_SECONDS, peer=PEER))

    async def rollback(self, name: str) -> dict[str, str]:
        """Ends the rollout of a model, or brings the champion before this one back; the champions that serve now."""
        change = trainer_pb2.ModelChange(name=name)
        answer = await call(self._stub.Rollback, change, timeout=CHANGE_SECONDS, peer=PEER)
        return dict(answer.champions)


def _told(rollout: trainer_pb2.Rollout) -> dict[str, Any]:
    since = datetime.fromtimestamp(rollout.since_us / 1e6, UTC).isoformat(timespec="milliseconds")
    return {
        "rollout_id": rollout.rollout_id,
        "stage": rollout.stage,
        "share": round(rollout.share, 6),
        "shadow": rollout.shadow,
        "challengers": dict(rollout.challengers),
        "champions": dict(rollout.champions),
        "since": since if rollout.since_us else None,
        "reason": rollout.reason,
        "guardrails": [
            {
                "name": one.name,
                "champion": one.champion,
                "challenger": one.challenger,
                "limit": one.limit,
                "breached": one.breached,
                "samples": one.samples,
            }
            for one in rollout.guardrails
        ],
    }
