"""A catalog small enough to know by heart, in MovieLens' spelling."""

from __future__ import annotations

from services.gateway.search import Title, Vocabulary

GENRES = """
Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical Mystery Romance
Sci-Fi Thriller War Western
"""
TITLES = (
    ("Matrix, The", 1999),
    ("Heat", 1995),
    ("Toy Story", 1995),
    ("Toy Story 2", 1999),
    ("Seven (Se7en)", 1995),
    ("Star Wars: Episode IV - A New Hope", 1977),
    ("Star Wars: Episode I - The Phantom Menace", 1999),
    ("Psycho", 1960),
    ("Psycho", 1998),
    ("Bug's Life, A", 1998),
    ("Professional, The (a.k.a. Leon: The Professional)", 1994),
    ("War, The", 1994),
    ("Scary Movie", 2000),
    ("2001: A Space Odyssey", 1968),
    ("It", 1990),
    ("Godfather, The", 1972),
    ("Pulp Fiction", 1994),
    ("Sunrise", 1927),
    ("Romance", 1999),
    ("Fight Club", 1999),
)


def vocabulary(*people: str) -> Vocabulary:
    """The small catalog's, with people if any are named."""
    titles = [Title(number, title, year) for number, (title, year) in enumerate(TITLES, start=1)]
    return Vocabulary(GENRES.split(), titles, people)
