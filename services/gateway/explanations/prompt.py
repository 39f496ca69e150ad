"""How a model is asked for a sentence: it goes on from a beginning made by rule, which names the film and the reason.

Small models mix up two films and invent reasons when they are given a free hand. The examples stand first and never
change, a prefix to cache.
"""

from __future__ import annotations

import re

from services.gateway.explanations.facts import Facts
from services.gateway.explanations.reasons import joined
from services.llm.calls import Generation, Sampling

MOST_TOKENS = 40

_A_BEFORE_VOWEL = re.compile(r"\ba(?= [AEIO])")

_EXAMPLES = (
    (Facts("", 1, "Alien", 1979, ("Horror", "Sci-Fi"), "The Terminator"), " a Horror film from 1979."),
    (
        Facts("", 2, "Babe", 1995, ("Children's", "Comedy"), "", ("it is of a kind you watch often",)),
        " a Comedy from 1995.",
    ),
    (Facts("", 3, "Casablanca", 1942, ("Drama", "Romance"), "Citizen Kane"), " a Drama and Romance from 1942."),
    (
        Facts("", 4, "Toy Story", 1995, ("Animation",), "", ("it is popular right now", "it is new here")),
        " an Animation film from 1995.",
    ),
    (Facts("", 5, "Jaws", 1975, ("Action", "Horror")), " an Action film from 1975."),
)


def beginning(facts: Facts) -> str:
    """The part of the sentence that is not left to a model."""
    if facts.cause:
        return f"Because you watched {facts.cause}, you may enjoy {facts.title},"
    if facts.reasons:
        return f"As {joined(facts.reasons)}, you may enjoy {facts.title},"
    return f"You may enjoy {facts.title},"


def whole(facts: Facts, end: str) -> str:
    """The sentence with the model's end, and with "an" where a small model writes "a"."""
    return f"{beginning(facts)} {_A_BEFORE_VOWEL.sub('an', end.strip())}"


def generation_of(facts: Facts, model: str) -> Generation:
    """The call that ends the sentence; greedy, so that an equal one can be answered from a cache."""
    examples = "".join(f"{_told(example)} {beginning(example)}{end}\n\n" for example, end in _EXAMPLES)
    prompt = f"{examples}{_told(facts)} {beginning(facts)}"
    return Generation(model, prompt=prompt, sampling=Sampling(MOST_TOKENS, temperature=0.0, stop=("\n",)))


def _told(facts: Facts) -> str:
    year = "" if facts.year is None else f" from {facts.year}"
    return f"Film: {facts.title}\nIs: {joined(facts.genres[:2]) if facts.genres else 'Film'}{year}\nSentence:"
