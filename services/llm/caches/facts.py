"""What vectors blur: numbers, negations, directions, names and quoted titles, and the order they come in."""

from __future__ import annotations

import re
import unicodedata

Facts = tuple[str, ...]
"""The words that count, in order."""

_NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions
billion first second third fourth fifth sixth seventh eighth ninth tenth last next previous once twice thrice half
quarter double triple single both pair dozen few several many all none any some every each only
twenties thirties forties fifties sixties seventies eighties nineties noughties today yesterday tomorrow
"""
_NEGATIONS = """
no not never nothing nobody nowhere neither nor without except excluding exclude excludes avoid minus lacking lacks
cannot hardly barely dislike dislikes disliked hate hates hated unlike ignore skip hide stop remove removed
"""
_DIRECTIONS = """
more less most least fewer greater smaller larger bigger higher lower highest lowest over under above below before after
since until till older newer oldest newest earlier later early late longer shorter long short longest shortest better
worse best worst good bad great terrible up down in out on off with like love likes loves liked loved true false
increase decrease start end begin beginning ending open closed cheap expensive old new young big small high low
happy sad light dark slow fast funny serious scary male female man woman men women boy girl
"""

_OPENINGS = """
a an and are can could describe did do does explain find for give has have hello help hey hi how i i'd i'm if is it
list me may might my name now of or our please recommend say shall should show so suggest summarise summarize tell
thanks that the then there these they this those to was we were what what's when where which who who's whose why will
would write you your
"""
"""Words that have a capital at the beginning of a sentence because it is one."""

_COUNTING = frozenset((_NUMBERS + _NEGATIONS + _DIRECTIONS).split())
_UNNAMED = frozenset(_OPENINGS.split())

_TOKEN = re.compile(
    r'"(?P<a>[^"]{1,200})"|“(?P<b>[^”]{1,200})”|«(?P<c>[^»]{1,200})»|(?<!\w)\'(?P<d>[^\']{1,200})\'(?!\w)'
    r"|[0-9]+(?:[.,:/][0-9]+)*|\w+(?:'\w+)?"
)


def facts(text: str) -> Facts:
    """The words of a sentence that its answer hangs on. Where they differ, two sentences ask for different things,
    however near their vectors are.
    """
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'")
    return tuple(fact for token in _TOKEN.finditer(plain) if (fact := _fact(token)))


def _fact(token: re.Match[str]) -> str:
    if token.lastgroup is not None:
        return " ".join(token[token.lastgroup].casefold().split())
    word = token.group()
    lower = word.casefold()
    if lower.endswith("n't"):
        return "not"
    counts = lower in _COUNTING or any(map(str.isdecimal, word))
    named = any(map(str.isupper, word)) and lower not in _UNNAMED
    return lower if counts or named else ""
