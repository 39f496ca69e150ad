"""The ranker answers how well each of up to 1000 candidates suits a user right now.

The gateway calls it once a request, with the user and retrieval's candidates. It owns its copy of the item table and
the versions of the model `ranker` that it holds in memory.
"""
