"""Events on their way in: each checked by itself, known ones recognised, the rest kept by the event log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache
from pydantic import ValidationError

from services.gateway.activity import RecentActivity
from services.gateway.problems import field_errors
from services.gateway.schemas import Event, person
from services.gateway.spelling import microseconds
from services.pb import events_pb2
from services.runtime.eventlog import EVENTS, EventLog, Record
from services.runtime.ids import to_int
from services.runtime.metrics import EVENTS as EVENTS_TOTAL


@dataclass(slots=True)
class Outcome:
    """What became of a batch."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """{index, code, field, message} of each refused event."""


class Intake:
    """Takes batches. An event counts as accepted, and its id as known, only once the event log keeps it."""

    def __init__(self, producer: EventLog, recent: RecentActivity, remembered_ids: int, timeout: float) -> None:
        self._producer, self._recent, self._timeout = producer, recent, timeout
        self._known_ids: LRUCache[str, None] = LRUCache(remembered_ids)

    async def take(self, batch: Sequence[dict[str, Any]]) -> Outcome:
        """Appends the new events; Unavailable, and nothing remembered, when the event log cannot keep them."""
        outcome, fresh = self._sorted(batch)
        if fresh:
            try:
                await self._producer.append(list(map(record_of, fresh.values())), timeout=self._timeout)
            except Exception:
                EVENTS_TOTAL.labels("unavailable").inc(len(fresh))
                raise
            self._remember(fresh)
        outcome.accepted = len(fresh)
        for name, count in (
            ("accepted", len(fresh)), ("duplicate", outcome.duplicates), ("rejected", len(outcome.rejected))
        ):  # fmt: skip
            EVENTS_TOTAL.labels(name).inc(count)
        return outcome

    def _sorted(self, batch: Sequence[dict[str, Any]]) -> tuple[Outcome, dict[str, Event]]:
        outcome, fresh = Outcome(), dict[str, Event]()
        for index, sent in enumerate(batch):
            try:
                event = Event.model_validate(sent)
            except ValidationError as error:
                outcome.rejected.append({"index": index} | _refusal(error))
                continue
            if event.event_id in fresh or event.event_id in self._known_ids:
                outcome.duplicates += 1
            else:
                fresh[event.event_id] = event
        return outcome, fresh

    def _remember(self, fresh: dict[str, Event]) -> None:
        for event_id, event in fresh.items():
            self._known_ids[event_id] = None
            user = person(event.user_id, event.anonymous_id)
            self._recent.note(user, to_int(event.item_id), hidden=event.type == "hide")


def record_of(event: Event) -> Record:
    """As the event log takes it; the key keeps one user's events in order."""
    user, received_us = person(event.user_id, event.anonymous_id), time.time_ns() // 1000
    message = events_pb2.Event(
        event_id=event.event_id,
        type=event.type,
        user_id=user,
        item_id=to_int(event.item_id),
        ts_us=received_us if event.ts is None else microseconds(event.ts),
        value=event.value,
        session_id=event.session_id or "",
        recommendation_id=event.recommendation_id or "",
        position=event.position,
        properties=event.properties,
        external_user_id=event.user_id or f"anonymous:{event.anonymous_id}",
        external_item_id=event.item_id,
        received_us=received_us,
    )
    return Record(EVENTS, str(user), message.SerializeToString())


def _refusal(error: ValidationError) -> dict[str, Any]:
    problems = error.errors(include_url=False, include_input=False)
    first, code = field_errors(problems)[0], problems[0]["type"]
    # A rule over the whole event has no field of its own; its sentence begins with the one to mend.
    name = first["field"] or "user_id"
    return {"code": code, "field": name, "message": f"{name}: {first['message']}."}
