from __future__ import annotations

from pathlib import Path

import numpy as np

from services.retrieval.text.vectors import RememberedVectors
from tests.retrieval.text.words_encoder import WordsEncoder


def test_no_text_is_encoded_twice(tmp_path: Path) -> None:
    encoder = WordsEncoder()
    vectors = RememberedVectors(encoder)
    first = vectors.encode(["war", "peace", "war"])
    again = vectors.encode(["peace", "war"])
    assert encoder.encoded == 2
    np.testing.assert_array_equal(first[:2], again[::-1])


def test_another_process_reads_what_was_kept_and_only_that(tmp_path: Path) -> None:
    file = tmp_path / "vectors" / "text.npz"
    first = RememberedVectors(WordsEncoder(), file)
    kept = first.encode(["war", "peace"])[:1]
    first.keep(["war"])
    encoder = WordsEncoder()
    second = RememberedVectors(encoder, file)
    np.testing.assert_array_equal(second.encode(["war"]), kept)
    assert encoder.encoded == 0
    second.encode(["peace"])
    assert encoder.encoded == 1


def test_a_damaged_file_and_that_of_another_model_are_encoded_again(tmp_path: Path) -> None:
    file, encoder = tmp_path / "text.npz", WordsEncoder()
    file.write_bytes(b"PK not a zip")
    vectors = RememberedVectors(encoder, file)
    vectors.encode(["war"])
    vectors.keep(["war"])
    RememberedVectors(encoder, file, model="another").encode(["war"])
    assert encoder.encoded == 2
    assert list(tmp_path.iterdir()) == [file]


def test_no_texts_need_no_encoder() -> None:
    assert RememberedVectors(WordsEncoder()).encode([]).shape == (0, WordsEncoder.dimensions)
