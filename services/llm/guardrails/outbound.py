"""What a caller gets to read: without personal data, also where it is split over the pieces of a stream."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace

from services.llm.calls import Completion, Piece, TokenLogprob
from services.llm.guardrails.finding import Finding, findings
from services.llm.guardrails.pii import Rule
from services.llm.guardrails.redaction import Redaction


class Outbound:
    """One answer on its way out, whole or in pieces."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """`rules`: what is redacted; none: the answer goes out as it is."""
        self._rules = rules
        self._redaction = Redaction(rules)
        self._logprobs: deque[tuple[int, int, tuple[TokenLogprob, ...]]] = deque()
        self._came = 0

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was redacted so far."""
        return findings("pii", self._redaction.counts)

    def whole(self, text: str) -> str:
        """All of an answer's text."""
        return self._redaction.finish(text)

    def completion(self, completion: Completion) -> Completion:
        """A whole answer. Log-probabilities would spell out what was redacted: they go with it."""
        text = self.whole(completion.text)
        logprobs = () if self._redaction.counts else completion.logprobs
        return replace(completion, text=text, logprobs=logprobs)

    def push(self, piece: Piece) -> Piece | None:
        """The next piece of a stream; what may go out now, None when nothing may. The last piece always goes out."""
        if not self._rules:
            return piece
        self._note(piece)
        last = piece.finish_reason is not None
        text = self._redaction.finish(piece.text) if last else self._redaction.push(piece.text)
        logprobs = self._released()
        if not (text or logprobs or last or piece.usage):
            return None
        return replace(piece, text=text, logprobs=logprobs)

    async def pieces(self, stream: AsyncIterator[Piece]) -> AsyncGenerator[Piece, None]:
        """A whole stream. What is held back when it breaks off does not go out."""
        async for piece in stream:
            out = self.push(piece)
            if out is not None:
                yield out

    def _note(self, piece: Piece) -> None:
        start, self._came = self._came, self._came + len(piece.text)
        if piece.logprobs:
            self._logprobs.append((start, self._came, piece.logprobs))

    def _released(self) -> tuple[TokenLogprob, ...]:
        """Of the pieces that went out entirely, without those that had a part in something redacted."""
        out: list[TokenLogprob] = []
        while self._logprobs and self._logprobs[0][1] <= self._redaction.read:
            start, end, logprobs = self._logprobs.popleft()
            hidden = self._redaction.hidden
            while hidden and hidden[0][1] <= start:
                hidden.pop(0)
            if not hidden or end <= hidden[0][0]:
                out += logprobs
        return tuple(out)
