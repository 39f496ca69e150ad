"""What was shown and what came of it: impressions joined to the events they caused, as rows a ranker learns from."""
