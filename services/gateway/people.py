"""Users as REST shows them: what features knows, and on top of it what was put or deleted just now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from cachetools import TTLCache

from models.user import UserState
from services.gateway.activity import LastKnownUsers, RecentActivity
from services.gateway.catalog import Catalog
from services.gateway.clients import Peers
from services.gateway.publisher import CatalogPublisher
from services.runtime.ids import to_int

PENDING_USERS = 10_000
PENDING_SECONDS = 10.0
"""How long the gateway's own word on a user stands; features knows within a second or two."""


class People:
    """Reads, puts and deletes users."""

    def __init__(
        self,
        peers: Peers,
        catalog: Catalog,
        publisher: CatalogPublisher,
        last_known: LastKnownUsers,
        recent: RecentActivity,
        timeout: float,
    ) -> None:
        self._peers, self._catalog, self._publisher = peers, catalog, publisher
        self._last_known, self._recent, self._timeout = last_known, recent, timeout
        self._pending: TTLCache[int, dict[str, str] | None] = TTLCache(PENDING_USERS, PENDING_SECONDS)

    async def put(self, user_id: str, profile: Mapping[str, str]) -> dict[str, Any]:
        """Adds a user or replaces the profile; returns the record."""
        await self._publisher.put_user(user_id, profile)
        self._pending[to_int(user_id)] = dict(profile)
        return {"user_id": user_id, "profile": dict(profile)}

    async def delete(self, user_id: str) -> None:
        """Forgets the user, the last known state included."""
        number = to_int(user_id)
        await self._publisher.delete_user(number)
        self._pending[number] = None
        self._last_known.forget(number)

    async def get(self, user_id: str) -> dict[str, Any] | None:
        """The user, or None when nobody has heard of them."""
        number = to_int(user_id)
        if number in self._pending and self._pending[number] is None:
            return None
        user = self._recent.applied(await self._peers.user(number, self._timeout))
        profile = {**user.profile, **(self._pending.get(number) or {})}
        if not profile and not user.seen.size and not user.hidden.size and user.is_cold:
            return None
        return {"user_id": user_id, "profile": profile, **self._activity(user)}

    def _activity(self, user: UserState) -> dict[str, Any]:
        names = self._catalog.names_of(user.history)
        columns = zip(
            user.history.tolist(), names, user.history_times.tolist(), user.history_values.tolist(), strict=True
        )
        history = [
            {
                "item_id": name[0] if name else str(number),
                "title": name[1] if name else None,
                "ts": datetime.fromtimestamp(moment / 1000, UTC).isoformat(),
                "value": value if value == value else None,
            }
            for number, name, moment, value in columns
        ]
        return {
            "history": history[::-1],
            "activity": {name: value for name, value in sorted(user.activity.items()) if np.isfinite(value)},
            "seen": int(np.unique(user.seen).size),
            "hidden": int(np.unique(user.hidden).size),
        }
