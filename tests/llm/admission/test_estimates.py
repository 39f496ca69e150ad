"""Tokens guessed before a call."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from services.llm.admission.estimates import most_prompt_tokens, prompt_tokens, tokens_in
from services.llm.calls import Generation, Message

PROSE = "Because you watched The Matrix and liked its hackers, here is a film about a heist inside of dreams. " * 4


@cache
def byte_level() -> Tokenizer:
    """A byte-level BPE, as SmolLM2, Llama 3 and GPT have."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([PROSE], trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet))
    return tokenizer


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), min_size=1, max_size=4))
def test_no_byte_level_tokenizer_makes_more_of_a_prompt_than_the_most(texts: list[str]) -> None:
    request = Generation("m", tuple(Message("user", text) for text in texts))
    assert sum(len(byte_level().encode(text).ids) for text in texts) <= most_prompt_tokens(request)
    assert prompt_tokens(request) <= most_prompt_tokens(request)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("abc", 1), ("a film", 2), ("1994", 4), ("é", 2), ('{"a": 1}', 7)]
)
def test_three_letters_are_a_token_and_so_is_any_other_byte(text: str, tokens: int) -> None:
    assert tokens_in(text) == tokens


def test_a_prompt_counts_like_a_chat_without_marks_around_messages() -> None:
    assert prompt_tokens(Generation("m", prompt="abc")) == 41
    assert prompt_tokens(Generation("m", (Message("system", "abc"), Message("user", "abc")))) == 40 + 2 * 9


def test_a_lone_surrogate_is_no_error() -> None:
    assert most_prompt_tokens(Generation("m", prompt="\ud800")) >= 41
