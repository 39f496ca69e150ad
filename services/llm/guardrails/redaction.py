"""Personal data replaced by its kind, in a text or in a stream: however a text is split, what comes out is the same.

redaction = Redaction()
redaction.push("write to bob@exam")      # "write to "
redaction.push("ple.org today")          # "[EMAIL] "
redaction.finish()                       # "today"
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from services.llm.guardrails.pii import ANY_MARK, CONTEXT, LONGEST, MARKS, NUMBER_CHARACTERS, RULES, WORD_MARKS, Rule


class Redaction:
    """One text on its way. It holds back what may still become a match: a word, or a row of numbers, and never more
    than `LONGEST` characters.
    """

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self._rules = rules
        self._text = ""
        self._done = 0
        """Characters of `_text` that went out; they are kept for what a rule sees before a match."""
        self.counts: Counter[str] = Counter()
        """Matches by kind."""
        self.read = 0
        """Characters of the original that went out."""
        self.hidden: list[tuple[int, int]] = []
        """Where matches were in the original."""

    def push(self, piece: str) -> str:
        """The next piece; what may go out now."""
        self._text += piece
        return self._advance(_decided(self._text, self._done))

    def finish(self, rest: str = "") -> str:
        """The last piece, and the end of the text."""
        self._text += rest
        return self._advance(len(self._text))

    def _advance(self, limit: int) -> str:
        """Lets out what lies before `limit`, and matches that begin there."""
        text, done, out = self._text, self._done, list[str]()
        for start, end, kind in _matches(text, done, self._rules):
            if start >= limit:
                break
            out += text[done:start], f"[{kind}]"
            self.counts[kind] += 1
            self.hidden.append((self.read + start - self._done, self.read + end - self._done))
            done = end
        if done < limit:
            out.append(text[done:limit])
            done = limit
        self.read += done - self._done
        self._done = min(done, CONTEXT)
        self._text = text[done - self._done :]
        return "".join(out)


def redacted(text: str, rules: Sequence[Rule] = RULES) -> tuple[str, Counter[str]]:
    """(the text without personal data, what was found by kind)"""
    redaction = Redaction(rules)
    return redaction.finish(text), redaction.counts


def _decided(text: str, done: int) -> int:
    """The place before which no further text can change what matches.

    A match has no space in it, or nothing but NUMBER_CHARACTERS. So the last word is open, and so are the numbers in
    front of it; what ends with a quotation mark or a comma is not.
    """
    place, earliest = len(text), max(done, len(text) - LONGEST)
    while place > earliest and (text[place - 1].isalnum() or text[place - 1] in WORD_MARKS):
        place -= 1
    while place > earliest and text[place - 1] in NUMBER_CHARACTERS:
        place -= 1
    return place


def _matches(text: str, start: int, rules: Sequence[Rule]) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) from left to right, none within another. Of two at one place the earlier rule's."""
    if not ANY_MARK.search(text, start):
        return
    counts = {marks: sum(map(text.count, marks)) for marks in MARKS}
    found = [(rule, rule.first(text, start)) for rule in rules if counts[rule.marks] >= rule.least]
    while found := [(rule, span) for rule, span in found if span is not None]:
        rule, span = min(found, key=lambda candidate: candidate[1][0])
        yield *span, rule.kind
        found = [(rule, at if at[0] >= span[1] else rule.first(text, span[1])) for rule, at in found]
