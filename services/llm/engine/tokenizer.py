"""Text to tokens and back, for byte-level BPE vocabularies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence

from services.llm.engine.weights import gguf_metadata, read_json
from services.runtime.errors import SettingsError

_CONTROL, _USER_DEFINED = 3, 4
"""Token types of a GGUF file that are matched as a whole."""


def _smollm() -> PreTokenizer:
    return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])


def _gpt2() -> PreTokenizer:
    return ByteLevel(add_prefix_space=False)


_SPLITS: dict[str, Callable[[], PreTokenizer]] = {"smollm": _smollm, "gpt-2": _gpt2, "default": _gpt2}
"""By tokenizer.ggml.pre: how text is cut before merges apply."""


class TextTokenizer:
    """Encodes text; knows the bytes of every token and which tokens end an answer."""

    def __init__(self, tokenizer: Tokenizer, end_tokens: frozenset[int], chat_template: str | None) -> None:
        self._tokenizer = tokenizer
        self.end_tokens = end_tokens
        """Generated, they end the answer."""
        self.chat_template = chat_template
        """Jinja source, when the model comes with one."""
        self.special_tokens = frozenset(
            number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special
        )
        self._names = {number: token for token, number in tokenizer.get_vocab(with_added_tokens=True).items()}
        added = {number: token.content for number, token in tokenizer.get_added_tokens_decoder().items()}
        self.token_bytes = [
            added[number].encode() if number in added else _raw_bytes(self._names.get(number, ""))
            for number in range(max(self._names) + 1)
        ]
        """By token id."""

    @property
    def size(self) -> int:
        """Tokens of the vocabulary."""
        return len(self.token_bytes)

    def encode(self, text: str) -> list[int]:
        """Token ids; control tokens in the text are control tokens."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def without_control(self, text: str) -> str:
        """The text without names of control tokens: a message must not end its own turn."""
        for token in self.special_tokens:
            text = text.replace(self._names[token], "")
        return text

    def text_of(self, token: int) -> str:
        """What a person is shown of a token alone."""
        return self.token_bytes[token].decode("utf-8", "replace")


def tokenizer_of_gguf(reader: GGUFReader) -> TextTokenizer:
    """Rebuilt from the file's header; SettingsError when its vocabulary is no byte-level BPE."""
    kind, split = (gguf_metadata(reader, f"tokenizer.ggml.{key}") for key in ("model", "pre"))
    if kind != "gpt2" or split not in _SPLITS:
        raise SettingsError(
            f"The GGUF file's tokenizer is {kind}/{split}; the native engine reads gpt2 with {', '.join(_SPLITS)}. "
            "A folder with a tokenizer.json carries any byte-level BPE."
        )
    names: list[str] = gguf_metadata(reader, "tokenizer.ggml.tokens")
    types: list[int] = gguf_metadata(reader, "tokenizer.ggml.token_type")
    merges = [tuple(pair.split(" ", 1)) for pair in gguf_metadata(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(BPE(vocab={name: number for number, name in enumerate(names)}, merges=merges))
    tokenizer.pre_tokenizer = _SPLITS[split]()
    tokenizer.decoder = ByteLevelDecoder()
    for kinds, special in ((_CONTROL, True), (_USER_DEFINED, False)):
        tokenizer.add_tokens(
            [AddedToken(name, special=special) for name, kind in zip(names, types, strict=True) if kind == kinds]
        )
    end = int(gguf_metadata(reader, "tokenizer.ggml.eos_token_id"))
    template = gguf_metadata(reader, "tokenizer.chat_template", "") or None
    return TextTokenizer(tokenizer, frozenset({end}), template)


def tokenizer_of_folder(folder: Path) -> TextTokenizer:
    """tokenizer.json, with tokenizer_config.json's chat template and config.json's end tokens."""
    path = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception for a file it cannot read
        raise SettingsError(f"{path} cannot be read ({error}).") from error
    if not isinstance(tokenizer.decoder, ByteLevelDecoder):
        raise SettingsError(f"{path} is no byte-level BPE; the native engine reads no other tokenizer.")
    ends = read_json(folder / "config.json").get("eos_token_id")
    if ends is None:
        raise SettingsError(f"{folder}/config.json has no eos_token_id.")
    about = folder / "tokenizer_config.json"
    template = read_json(about).get("chat_template") if about.exists() else None
    return TextTokenizer(tokenizer, frozenset(ends if isinstance(ends, list) else [ends]), template)


def _alphabet() -> dict[str, int]:
    """The letter that stands for each byte in a byte-level vocabulary (Radford et al., 2019)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTE_OF = _alphabet()


def _raw_bytes(name: str) -> bytes:
    if all(letter in _BYTE_OF for letter in name):
        return bytes(_BYTE_OF[letter] for letter in name)
    return name.encode()
