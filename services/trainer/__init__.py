"""The trainer turns the lake into models: datasets, fit, evaluation, publication.

A person or a schedule runs it; retrieval and ranker follow what it publishes. It owns the registry's writes.
"""
