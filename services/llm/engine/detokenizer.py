"""Tokens to text as they come: whole characters only, and nothing that may be the beginning of a stop string."""

from __future__ import annotations

import codecs

from services.llm.engine.tokenizer import TextTokenizer


class Detokenizer:
    """One answer's text."""

    def __init__(self, tokenizer: TextTokenizer, stop: tuple[str, ...] = ()) -> None:
        self._bytes, self._hidden = tokenizer.token_bytes, tokenizer.special_tokens
        self._stop = tuple(string for string in stop if string)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """Whether a stop string was found; nothing follows it."""

    def add(self, token: int) -> str:
        """The text that is certain after this token; it may be empty. Control tokens have none."""
        if self.stopped or token in self._hidden:
            return ""
        return self._release(self._decoder.decode(self._bytes[token]))

    def finish(self) -> str:
        """What was held back, when nothing follows any more."""
        if self.stopped:
            return ""
        text = self._release(self._decoder.decode(b"", final=True))
        held, self._held = self._held, ""
        return text + ("" if self.stopped else held)

    def _release(self, more: str) -> str:
        text = self._held + more
        cut = min((at for at in map(text.find, self._stop) if at >= 0), default=None)
        if cut is not None:
            self.stopped, self._held = True, ""
            return text[:cut]
        keep = max((_overlap(text, string) for string in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, string: str) -> int:
    """Length of the longest end of the text that begins the string."""
    for length in range(min(len(text), len(string) - 1), 0, -1):
        if text.endswith(string[:length]):
            return length
    return 0
