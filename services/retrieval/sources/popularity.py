"""Items that people like this user watch most."""

from __future__ import annotations

from services.retrieval.query import Query
from services.retrieval.sources.source import Proposal, best_free


class PopularitySource:
    """Decayed popularity in the user's segment, overall for a user without a profile."""

    name = "popularity"
    remote = False

    def propose(self, query: Query, k: int) -> Proposal:
        """The k most popular items of the segment."""
        return best_free(query.segment_popularity, query, k)
