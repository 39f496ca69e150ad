"""Who may ask, how often, for how much: virtual keys, rate limits, budgets, prices and what was used."""
