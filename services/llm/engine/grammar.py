"""Output that satisfies a JSON Schema: which tokens may come next, by llguidance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from torch import Tensor

from services.llm.engine.tokenizer import TextTokenizer
from services.runtime.errors import InvalidArgument


class _Vocabulary:
    """The face of a tokenizer that llguidance asks for."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = min(tokenizer.end_tokens)
        self.bos_token_id = None
        self.tokens = tokenizer.token_bytes
        self.special_token_ids = sorted(tokenizer.special_tokens)

    def __call__(self, text: bytes) -> list[int]:
        return self._tokenizer.encode(text.decode("utf-8", "replace"))


class Grammars:
    """Compiles schemas for one vocabulary."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = LLTokenizer(
            TokenizerWrapper(_Vocabulary(tokenizer)), n_vocab=tokenizer.size, eos_token=sorted(tokenizer.end_tokens)
        )

    def matcher(self, schema: Mapping[str, Any]) -> Grammar:
        """A fresh matcher; InvalidArgument when the schema is wrong or uses what cannot be enforced."""
        wanted = dict(schema) or {"type": "object"}
        matcher = LLMatcher(
            self._tokenizer,
            LLMatcher.grammar_from_json_schema(json.dumps(wanted), overrides={"whitespace_flexible": False}),
        )
        if matcher.is_error():
            sentence = matcher.get_error().splitlines()[0]
            raise InvalidArgument(f"The JSON Schema cannot be enforced: {sentence}.", field="json_schema")
        return Grammar(matcher, self._tokenizer.vocab_size)


class Grammar:
    """Where one answer stands in its schema."""

    def __init__(self, matcher: LLMatcher, size: int) -> None:
        self._matcher = matcher
        self._bits = np.zeros(-(-size // 32), dtype=np.int32)
        self._size = size

    @property
    def stopped(self) -> bool:
        """Whether the text is complete: only an end token may follow."""
        return self._matcher.is_stopped()

    def mask(self, logits: Tensor) -> Tensor:
        """(vocabulary,) logits with -inf at tokens that must not come next; a copy."""
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        allowed = np.unpackbits(self._bits.view(np.uint8), count=self._size, bitorder="little").astype(np.bool_)
        refused = torch.from_numpy(~allowed).to(logits.device)
        masked = logits.clone()
        masked[: self._size].masked_fill_(refused, float("-inf"))
        masked[self._size :] = float("-inf")
        return masked

    def accept(self, token: int) -> None:
        """Goes on after a token that the mask allowed."""
        self._matcher.consume_token(token)

    def forced(self, count: int) -> list[int]:
        """Up to `count` tokens that write what must come next anyway: drafts that are mostly right."""
        return self._matcher.compute_ff_tokens()[:count]

    def valid(self, tokens: list[int]) -> list[int]:
        """The leading tokens that may come next."""
        return tokens[: self._matcher.validate_tokens(tokens)] if tokens else []
