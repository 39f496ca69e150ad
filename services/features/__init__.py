"""Features answers what is known of a user or an item at this moment, and streams the catalog as it changes.

The gateway asks for a user once a request; retrieval, ranker and re-ranker follow the catalog. It owns the reads of
the Feast online store in Redis; ingest owns the writes.
"""
