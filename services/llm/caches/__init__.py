"""Answers that were given before: to the same call, or to one that says the same.

What is kept is what the model said. A caller meets its key's limits, budget and guardrails first, and what comes out of
a cache goes through the outbound rules again.
"""
