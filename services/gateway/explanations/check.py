"""Whether a sentence says only what the facts say. What is not certain is refused: the rule's sentence stands by."""

from __future__ import annotations

import re
from collections.abc import Set

from services.gateway.explanations.facts import Facts

LONGEST = 240
"""Characters of a sentence."""
MOST_TITLE_WORDS = 6
"""Longer titles are found by their capitals alone."""

_WORD = re.compile(r"(?<!\w)[^\W\d_](?:[\w'’.-]*\w)?")
_NUMBER = re.compile(r"\d+")
_ENDS = re.compile(r"[.!?…]+(?=\s)")
_WATCHED = r"\b(?:watched|watching|saw|seen|enjoyed|loved|liked|rated)"
_DECADES = {
    "twenties": 192, "thirties": 193, "forties": 194, "fifties": 195, "sixties": 196, "seventies": 197,
    "eighties": 198, "nineties": 199,
}  # fmt: skip
_GENRE_WORDS = {
    "action": "Action", "adventure": "Adventure", "adventurous": "Adventure", "animated": "Animation",
    "animation": "Animation", "cartoon": "Animation", "children": "Children's", "kids": "Children's",
    "family": "Children's", "comedy": "Comedy", "comedies": "Comedy", "comedic": "Comedy", "funny": "Comedy",
    "hilarious": "Comedy", "humor": "Comedy", "humour": "Comedy", "humorous": "Comedy", "crime": "Crime",
    "criminal": "Crime", "gangster": "Crime", "heist": "Crime", "documentary": "Documentary",
    "documentaries": "Documentary", "drama": "Drama", "dramas": "Drama", "dramatic": "Drama", "fantasy": "Fantasy",
    "magical": "Fantasy", "noir": "Film-Noir", "horror": "Horror", "scary": "Horror", "terrifying": "Horror",
    "musical": "Musical", "musicals": "Musical", "mystery": "Mystery", "mysteries": "Mystery",
    "mysterious": "Mystery", "detective": "Mystery", "romance": "Romance", "romantic": "Romance", "sci-fi": "Sci-Fi",
    "science-fiction": "Sci-Fi", "futuristic": "Sci-Fi", "space": "Sci-Fi", "thriller": "Thriller",
    "thrillers": "Thriller", "thrilling": "Thriller", "suspense": "Thriller", "suspenseful": "Thriller",
    "war": "War", "western": "Western", "westerns": "Western", "cowboy": "Western",
}  # fmt: skip
_PLAIN = frozenset(
    {
        "a", "about", "after", "all", "also", "although", "an", "and", "another", "any", "are", "as", "at",
        "be", "because", "been", "both", "but", "by", "can", "choice", "could", "do", "enjoy", "enjoyable",
        "enjoyed", "fan", "fans", "film", "films", "find", "fit", "fits", "for", "from", "genre", "genres",
        "give", "given", "go", "goes", "great", "has", "have", "here", "i", "if", "in", "into", "is", "it",
        "it's", "its", "just", "kind", "kinds", "like", "liked", "likes", "look", "looking", "love", "loved",
        "made", "many", "match", "matches", "may", "maybe", "might", "more", "most", "movie", "movies", "much",
        "next", "now", "of", "on", "one", "ones", "or", "other", "our", "out", "perfect", "pick", "picked",
        "picks", "recommend", "recommended", "recommends", "see", "seem", "seems", "seen", "should", "since",
        "so", "some", "something", "still", "story", "such", "suggest", "suggested", "suit", "suits", "take",
        "than", "that", "that's", "the", "their", "them", "then", "there", "these", "they", "this", "those",
        "to", "too", "try", "up", "us", "want", "was", "watch", "watched", "watches", "watching", "way", "we",
        "well", "were", "what", "when", "which", "while", "who", "why", "will", "with", "worth", "would", "you",
        "you'll", "you're", "you've", "your", "yours",
    }
)  # fmt: skip
"""Words that say nothing about a film which the facts do not: every other word must be one of theirs."""


def contradictions(sentence: str, facts: Facts, titles: Set[str] = frozenset()) -> list[str]:
    """What the sentence says beyond the facts, a few words each; empty when it may be shown. `titles` are those of the
    catalogue, case-folded: a model need not write another film's name with capitals.
    """
    rest = _without_titles(sentence, facts)
    return [
        *_form(sentence, rest),
        *_roles(sentence, facts),
        *_numbers(rest, facts),
        *_genres(rest, facts),
        *_words_beyond(rest, facts),
        *_titles(rest, titles),
    ]


def _roles(sentence: str, facts: Facts) -> list[str]:
    """Which film is recommended, and which one was watched: small models like to mix them up."""
    title, cause = re.escape(facts.title), re.escape(facts.cause)
    wrong = []
    if not re.search(rf"(?<!\w){title}(?!\w)", sentence):
        wrong.append("the film is not named")
    if re.search(rf"{_WATCHED}\W{{1,3}}{title}(?!\w)", sentence, re.IGNORECASE):
        wrong.append("the item was not watched yet")
    others = re.sub(rf"(?:{_WATCHED}|\b(?:like|of|to|after))\W{{1,3}}{cause}(?!\w)", " ", sentence, flags=re.IGNORECASE)
    if cause and facts.cause not in facts.title and re.search(rf"(?<!\w){cause}(?!\w)", others):
        wrong.append("something is said of the film that was watched")
    return wrong


def _form(sentence: str, rest: str) -> list[str]:
    wrong = []
    if not sentence or len(sentence) > LONGEST:
        wrong.append("its length")
    if not sentence.rstrip('"”').endswith((".", "!")):
        wrong.append("it has no end")
    if "\n" in sentence or _ENDS.search(rest):
        wrong.append("it is more than one sentence")
    return wrong


def _numbers(rest: str, facts: Facts) -> list[str]:
    decade = None if facts.year is None else facts.year // 10
    wrong = []
    for match in _NUMBER.finditer(rest):
        number, plural = match.group(), rest[match.end() :].lstrip("'’").startswith("s")
        spelled = decade is not None and number in (f"{decade}0", f"{decade % 10}0") and plural
        if number != str(facts.year) and not spelled:
            wrong.append(f"{number} is no year given")
    wrong += [f"{word!r} is another decade" for word in _words(rest) if _DECADES.get(word.casefold(), decade) != decade]
    return wrong


def _genres(rest: str, facts: Facts) -> list[str]:
    said = {word: _GENRE_WORDS[word] for word in map(str.casefold, _words(rest)) if word in _GENRE_WORDS}
    given = {genre.casefold() for genre in facts.genres}
    return [f"{word!r} is no genre given" for word, genre in said.items() if genre.casefold() not in given]


def _words_beyond(rest: str, facts: Facts) -> list[str]:
    """Words for which no fact stands: names, claims, praise, reasons that were not given."""
    known = {form for word in _words(facts.said) for form in _forms(word)}
    return [
        f"{word!r} is not among the facts"
        for word in _words(rest)
        if word.casefold() not in _PLAIN | _GENRE_WORDS.keys() | _DECADES.keys() and known.isdisjoint(_forms(word))
    ]


def _forms(word: str) -> set[str]:
    """A word as it is compared: "viewers", "viewer"; "Children's", "Children"."""
    folded = word.casefold().replace("’", "'")
    return {folded, folded.removesuffix("'s"), folded.removesuffix("s"), folded.removesuffix("ed")}


def _titles(rest: str, titles: Set[str]) -> list[str]:
    """Titles of two words or more; one word alone is as often just a word."""
    words = [word.casefold() for word in _words(rest)]
    spans = (
        " ".join(words[start : start + length])
        for length in range(2, MOST_TITLE_WORDS + 1)
        for start in range(len(words) - length + 1)
    )
    return [f"{span!r} is another title" for span in spans if span in titles]


def _without_titles(sentence: str, facts: Facts) -> str:
    """The sentence with its titles cut out: what stands in them is nobody's claim."""
    for title in sorted((facts.title, facts.cause), key=len, reverse=True):
        if title:
            sentence = re.sub(rf"(?<!\w){re.escape(title)}(?!\w)", " ", sentence)
    return sentence.strip()


def folded_title(title: str) -> str:
    """A title as `titles` of `contradictions` has it: its words alone."""
    return " ".join(_words(title)).casefold()


def _words(text: str) -> list[str]:
    return _WORD.findall(text)
