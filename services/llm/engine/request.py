"""A request inside the engine: its sequence, and how its tokens are chosen and become text."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from services.llm.calls import FinishReason, Sampling, TokenLogprob, Usage
from services.llm.engine.detokenizer import Detokenizer
from services.llm.engine.drafts import Acceptance, NgramIndex
from services.llm.engine.grammar import Grammar
from services.llm.engine.sampler import Choice, choose, log_probabilities
from services.llm.engine.sequence import Sequence
from services.llm.engine.tokenizer import TextTokenizer

_FORCED_RATE = 0.95
"""Acceptance of tokens that a grammar forces; other spellings of the same text remain."""


@dataclass(slots=True)
class Request:
    """Lives from its arrival to its last token."""

    sequence: Sequence
    sampling: Sampling
    seed: int
    tokenizer: TextTokenizer
    detokenizer: Detokenizer
    arrived: float
    grammar: Grammar | None = None
    ngrams: NgramIndex | None = None
    """None: nothing is drafted for it."""
    ignore_end: bool = False
    """Whether end tokens are tokens like others."""
    acceptance: Acceptance = field(default_factory=Acceptance)
    last_token: float | None = None
    """When the latest tokens came."""
    _forced: bool = False

    def propose(self, most: int) -> list[int]:
        """Tokens that may follow: what the grammar forces, else what the text did before."""
        sequence = self.sequence
        count = min(most, self.sequence.max_tokens - sequence.num_generated - 1)
        if self.ngrams is None or count < 1:
            return []
        forced = self.grammar.forced(count) if self.grammar else []
        self._forced = bool(forced)
        if forced or self.grammar is None:
            return forced or self.ngrams.propose(count)
        return self.grammar.valid(self.ngrams.propose(count))

    @property
    def rate(self) -> float:
        """Expected acceptance of what was proposed last."""
        return _FORCED_RATE if self._forced else self.acceptance.rate

    def choices(self, logits: Tensor, likeliest: list[int]) -> list[Choice]:
        """Verifies the draft: tokens for (1 + drafted, vocabulary) logits, up to the first that was not drafted."""
        found: list[Choice] = []
        for row, drafted in enumerate([*self.sequence.draft, None]):
            choice = self._choice(logits[row], likeliest[row], len(self.sequence.tokens) + row)
            found.append(choice)
            if choice.token != drafted or self._ends(choice.token):
                break
        return found

    def _choice(self, logits: Tensor, likeliest: int, place: int) -> Choice:
        allowed = self.grammar.mask(logits) if self.grammar else logits
        if self.sampling.temperature <= 0 and self.grammar is None:
            token = likeliest
        else:
            token = choose(allowed, self.sampling.temperature, self.sampling.top_p, self.seed, place)
        if self.grammar:
            self.grammar.accept(token)
        if self.sampling.logprobs is None:
            return Choice(token)
        return log_probabilities(logits, token, self.sampling.logprobs)

    def count_draft(self, accepted: int) -> None:
        """Learns from a verification, or from a step without one."""
        if not self.sequence.draft:
            self.acceptance.heal()
        elif not self._forced:
            self.acceptance.observe(len(self.sequence.draft), accepted)

    def _ends(self, token: int) -> bool:
        return token in self.tokenizer.end_tokens and not self.ignore_end

    def keep(self, choices: list[Choice]) -> tuple[list[Choice], str, FinishReason | None]:
        """The choices up to the answer's end: (those, the text they make certain, why it ended)."""
        text, reason = "", None
        kept: list[Choice] = []
        for choice in choices:
            kept.append(choice)
            if not self._ends(choice.token):
                text += self.detokenizer.add(choice.token)
            reason = self._reason(choice.token, self.sequence.num_generated + len(kept), choice is choices[-1])
            if reason is not None:
                text += self.detokenizer.finish()
                break
        # A stop string may have been completed by the last bytes of all.
        return kept, text, "stop" if reason and self.detokenizer.stopped else reason

    def _reason(self, token: int, generated: int, latest: bool) -> FinishReason | None:
        complete = latest and self.grammar is not None and self.grammar.stopped
        if self._ends(token) or self.detokenizer.stopped or complete:
            return "stop"
        return "length" if generated >= self.sequence.max_tokens else None

    def logprobs(self, choices: list[Choice]) -> tuple[TokenLogprob, ...]:
        """What the caller is told of each choice; nothing unless asked for."""
        text_of = self.tokenizer.text_of
        return tuple(
            TokenLogprob(
                text_of(choice.token),
                choice.logprob,
                tuple((text_of(token), logprob) for token, logprob in choice.top),
            )
            for choice in choices
            if choice.logprob is not None
        )

    def usage(self) -> Usage:
        """Tokens read and written so far."""
        sequence = self.sequence
        return Usage(sequence.prompt_length, sequence.num_generated, sequence.num_cached)
