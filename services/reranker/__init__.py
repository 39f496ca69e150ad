"""Answers which n items to show, in order, from a list of scored candidates.

Called by the gateway once a request, after the ranker.
Owns the rules of a slate: diversity, caps, freshness, exploration; and nothing that is stored.
"""
