"""Turns what happened into what is known: events, impressions and catalog changes from the log.

Nobody calls ingest; it reads Kafka. It writes the activity features to Redis within a fraction of a second and appends
the history to the Parquet lake, each event once, however often the log delivers it. It owns the writes to both.
"""
