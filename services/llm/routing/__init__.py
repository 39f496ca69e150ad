"""Which backend answers a call: models by name, affinity and balance, retries, breakers and chains of fallbacks."""
