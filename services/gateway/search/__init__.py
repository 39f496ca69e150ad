"""What someone asks for in a sentence, as a structured query: a deterministic parser, and a model for what it leaves.

query = parse("a funny heist film from the nineties", vocabulary)
query.genres, query.years, query.text_left      # ("Comedy", "Crime"), Years(1990, 1999), "heist"

The parser is pure and reads 400 characters in a millisecond; the model is asked only when something is left, and its
answer never overrules the parser.
"""

from services.gateway.search.leftover import Completed, Leftover
from services.gateway.search.parser import parse
from services.gateway.search.query import Query, Span, Years
from services.gateway.search.vocabulary import Title, Vocabulary
from services.gateway.search.widening import Wider, widened

__all__ = ["Completed", "Leftover", "Query", "Span", "Title", "Vocabulary", "Wider", "Years", "parse", "widened"]
