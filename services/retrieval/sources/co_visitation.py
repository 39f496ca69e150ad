"""Items that others went to from the items of this user's history."""

from __future__ import annotations

from services.retrieval.query import Query
from services.retrieval.sources.source import Proposal, best_free


class CoVisitationSource:
    """Ordered co-visitation over the newest items of the history."""

    name = "co_visitation"
    remote = False

    def propose(self, query: Query, k: int) -> Proposal:
        """The k items with the most evidence; none for a user without history."""
        return best_free(query.co_visitation, query, k)
