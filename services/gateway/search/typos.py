"""Words with one typing error: a letter too many, too few, wrong, or two that changed places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SHORTEST = 5
"""Letters below which a word is too easily another one."""


def one_typo(written: str, meant: str) -> bool:
    """Whether the two differ by exactly one error (Damerau 1964). Linear in their length."""
    if written == meant or abs(len(written) - len(meant)) > 1:
        return False
    same = next(
        (at for at, (one, other) in enumerate(zip(written, meant, strict=False)) if one != other),
        min(len(written), len(meant)),
    )
    rest, other = written[same:], meant[same:]
    swapped = len(rest) > 1 and len(other) > 1 and rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return rest[1:] == other or rest == other[1:] or rest[1:] == other[1:] or swapped


class Spellings:
    """Texts that are found again with one typo in them.

    One error leaves one half of the text untouched, so every text is listed under both its halves.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = frozenset(text for text in texts if len(text) >= SHORTEST)
        self._halves: dict[tuple[int, str, str], list[str]] = {}
        for text in self._texts:
            half = len(text) // 2
            for key in ((len(text), text[:half], ""), (len(text), "", text[half:])):
                self._halves.setdefault(key, []).append(text)

    def near(self, written: str) -> str | None:
        """The text that was meant, or None; the first in the order of the alphabet when it may be several."""
        return min((text for text in self._candidates(written) if one_typo(written, text)), default=None)

    def _candidates(self, written: str) -> Iterator[str]:
        for length in range(max(SHORTEST, len(written) - 1), len(written) + 2):
            head = length // 2
            yield from self._halves.get((length, written[:head], ""), ())
            yield from self._halves.get((length, "", written[len(written) - (length - head) :]), ())
        # Two letters that changed places in the very middle touch both halves.
        head = len(written) // 2
        swapped = written[: head - 1] + written[head - 1 : head + 1][::-1] + written[head + 1 :]
        if swapped in self._texts:
            yield swapped
