"""Lists that are not made for one user: similar, popular and latest items. They are stages too, with fallbacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.user import UserState
from services.gateway.clients import Peers
from services.gateway.fallback import Fallbacks
from services.gateway.journey import Journey
from services.gateway.nouns import Ask, Candidates
from services.gateway.stages import Stage
from services.runtime.ids import to_int

LARGEST = 1000
"""Most items retrieval gives."""


@dataclass(frozen=True, slots=True)
class Audience:
    """For whom a list is made."""

    user: UserState
    segment: Mapping[str, str] = field(default_factory=dict)
    """Profile attributes; empty for everybody."""


class Similar(Stage[Audience, Candidates]):
    """Items like the context item, or popular ones that share a genre with it."""

    name = "retrieval"

    def __init__(self, cap_ms: float, peers: Peers, fallbacks: Fallbacks) -> None:
        super().__init__(cap_ms)
        self._peers, self._fallbacks = peers, fallbacks

    async def attempt(self, journey: Journey, given: Audience, timeout: float) -> Candidates:
        ask = journey.ask
        exclude = [*ask.exclude, *self._fallbacks.catalog.pending_deletions()]
        item_id, n = to_int(ask.context_item), enough(ask, given)
        return await self._peers.similar(item_id, n, exclude, ask.categories, timeout)

    def instead(self, journey: Journey, given: Audience) -> tuple[Candidates, str]:
        item = self._fallbacks.catalog.item(to_int(journey.ask.context_item))
        genres: Iterable[str] = item.genres if item else ()
        return self._fallbacks.similar(journey.ask, given.user, genres, journey.ask.n), "popular items of its genres"


class Popular(Stage[Audience, Candidates]):
    """Popular items, overall or of a segment."""

    name = "retrieval"

    def __init__(self, cap_ms: float, peers: Peers, fallbacks: Fallbacks) -> None:
        super().__init__(cap_ms)
        self._peers, self._fallbacks = peers, fallbacks

    async def attempt(self, journey: Journey, given: Audience, timeout: float) -> Candidates:
        ask = journey.ask
        return await self._peers.popular(enough(ask, given), given.segment, ask.categories, timeout)

    def instead(self, journey: Journey, given: Audience) -> tuple[Candidates, str]:
        return self._fallbacks.popular(journey.ask, given.user, journey.ask.n), "popular items of everybody"


class Latest(Stage[Audience, Candidates]):
    """The newest items first."""

    name = "retrieval"

    def __init__(self, cap_ms: float, peers: Peers, fallbacks: Fallbacks) -> None:
        super().__init__(cap_ms)
        self._peers, self._fallbacks = peers, fallbacks

    async def attempt(self, journey: Journey, given: Audience, timeout: float) -> Candidates:
        return await self._peers.latest(enough(journey.ask, given), journey.ask.categories, timeout)

    def instead(self, journey: Journey, given: Audience) -> tuple[Candidates, str]:
        return self._fallbacks.latest(journey.ask, given.user, journey.ask.n), "newest items of the gateway's table"


def enough(ask: Ask, audience: Audience) -> int:
    """How many to ask for, so that n are left after the filters."""
    return min(LARGEST, ask.n + int(audience.user.seen.size) + int(audience.user.hidden.size) + len(ask.exclude))
