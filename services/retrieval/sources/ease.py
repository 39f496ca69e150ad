"""Items that go together with the newest of this user's history, once all that goes with everything is discounted."""

from __future__ import annotations

from services.retrieval.query import Query
from services.retrieval.sources.source import Proposal, best_free


class EaseSource:
    """EASE over the newest items of the history."""

    name = "ease"
    remote = False

    def propose(self, query: Query, k: int) -> Proposal:
        """The k items that the history speaks for most; none for a user without history."""
        return best_free(query.ease, query, k)
