"""A sentence by rule: always true, never surprising. What is said when no model answers, or when it says too much."""

from __future__ import annotations

from services.gateway.explanations.facts import Facts
from services.gateway.explanations.reasons import joined


def sentence(facts: Facts) -> str:
    """One sentence from the facts alone."""
    subject = f"{facts.title} ({facts.year})" if facts.year is not None else facts.title
    genres = joined(facts.genres[:2]) if facts.genres else ""
    if facts.cause and facts.reasons:
        return f"Because you watched {facts.cause}: {subject}, as {joined(facts.reasons)}."
    if facts.cause:
        return f"Because you watched {facts.cause}: {subject}{f', for more {genres}' if genres else ''}."
    if facts.reasons:
        return f"{subject} was picked because {joined(facts.reasons)}."
    return f"{subject} was picked for you{f', for its {genres}' if genres else ''}."
