"""A model by the path in its URL."""

from __future__ import annotations

from pathlib import Path

from services.llm.engine.tokenizer import TextTokenizer, tokenizer_of_folder, tokenizer_of_gguf
from services.llm.engine.weights import Weights, open_gguf, smollm2_path, weights_of_folder, weights_of_gguf
from services.runtime.errors import SettingsError

SCHEME = "native://"
SMOLLM2 = "smollm2"


def model_path(url: str) -> Path:
    """native://smollm2, or native:///path of a GGUF file or a folder; SettingsError when there is none."""
    where = url.removeprefix(SCHEME)
    if where == SMOLLM2:
        return smollm2_path()
    path = Path(where)
    if not url.startswith(SCHEME) or not path.is_absolute():
        raise SettingsError(f"{url!r} names no model: native://{SMOLLM2}, or native:///path/to/folder-or-file.gguf.")
    if not path.exists():
        raise SettingsError(f"{path} of {url!r} does not exist.")
    return path


def load_model(path: Path) -> tuple[Weights, TextTokenizer]:
    """Weights and tokenizer of a GGUF file or a folder in the Hugging Face layout."""
    if path.is_dir():
        return weights_of_folder(path), tokenizer_of_folder(path)
    reader = open_gguf(path)
    return weights_of_gguf(reader), tokenizer_of_gguf(reader)
