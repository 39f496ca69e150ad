"""200 sentences with the queries that a person wrote for them, and the scores of whatever reads such sentences."""
