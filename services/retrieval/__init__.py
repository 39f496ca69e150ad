"""Answers which few hundred items of the catalog a user might want, best first, and who proposed each.

Called by the gateway once a request, and by the trainer (without the wire) to make ranking examples.
Owns the vector index and the retrieval models two_tower, co_visitation and popularity.
"""
