"""Texts for speculation: those that repeat the prompt, the gateway's explanations, and free ones.

They were written before any result was seen, and none of them has been used to tune the engine.
"""

from __future__ import annotations

from dataclasses import replace

from services.gateway.explanations.facts import Facts
from services.gateway.explanations.prompt import generation_of

COPIES = (
    "Repeat this sentence exactly, twice:\n\nThe harbour museum opens at nine on weekdays and at ten on Sundays, and "
    "its lighthouse can be climbed for three euros until the end of September.",
    'Return this record unchanged: {"order": 48151, "customer": "Mara Lindqvist", "items": ["tent", "stove", "rope"], '
    '"total": 216.40, "paid": true, "city": "Gothenburg"}',
    "Write out the list again, word for word: copper kettle, walnut table, green velvet chair, brass lamp, oak shelf, "
    "porcelain bowl, silver spoon, woollen blanket.",
    "Copy the function without changes:\n\ndef total_price(items, rate):\n    subtotal = sum(item.price for item in "
    "items)\n    tax = subtotal * rate\n    return subtotal + tax\n",
    "Quote this paragraph: Night trains left the northern station every evening at eight. They crossed the river "
    "before midnight, stopped twice in the mountains, and reached the coast as the sun came up.",
    "Say again what the note says. Note: the key to the boathouse hangs behind the blue door, the oars are under the "
    "bench, and the boathouse must be locked before dark.",
)
"""Answers are mostly in the prompt."""

FREE = (
    "Describe a morning in a small fishing village.",
    "How does a bicycle stay upright?",
    "Give some advice to a person who moves to a new city.",
    "Why do leaves change their colour?",
    "Write the beginning of a mystery novel that plays in a library.",
    "What should one think about before adopting a cat?",
)
"""Answers are not in the prompt."""

_FACTS = (
    Facts("901", 1, "The Paper Lantern", 1988, ("Drama", "Mystery"), "Harbour Lights"),
    Facts("902", 2, "Copper Canyon Express", 1961, ("Western", "Adventure"), "", ("it is popular right now",)),
    Facts("903", 3, "Midnight at Marlow's", 1997, ("Comedy",), "The Second Waiter"),
    Facts("904", 4, "Salt and Thunder", 2003, ("Action", "Thriller"), "", ("it is of a kind you watch often",)),
    Facts("905", 5, "A Garden in Winter", 1974, ("Romance", "Drama"), "", ("most of its viewers liked it",)),
    Facts("906", 6, "Orbit of Glass", 1999, ("Sci-Fi", "Horror"), "Silent Comet"),
)


def explanations(part: int = 1) -> list[str]:
    """The gateway's own prompts, about films that do not exist; each part is about other films than the ones before."""
    sequels = [facts if part == 1 else replace(facts, title=f"{facts.title} {part}") for facts in _FACTS]
    return [generation_of(facts, "").prompt or "" for facts in sequels]
