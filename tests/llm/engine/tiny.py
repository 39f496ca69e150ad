"""A Llama small enough for tests, with random weights and a vocabulary of bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor

from services.llm.engine.config import EngineConfig
from services.llm.engine.engine import Engine
from services.llm.engine.tokenizer import TextTokenizer, tokenizer_of_folder
from services.llm.engine.weights import Weights, weights_of_folder

END = "<end>"
CHAT = "{% for m in messages %}<turn>{{ m.role }}: {{ m.content }}<end>{% endfor %}<turn>assistant: "
CONFIG = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 96, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
    "rope_theta": 10_000.0, "vocab_size": 258, "eos_token_id": 256,
}  # fmt: skip


def tensors(seed: int = 0) -> dict[str, Tensor]:
    """By the names and in the layout of Hugging Face."""
    random = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=random) * float(1.5 * columns**-0.5)

    found = {"model.embed_tokens.weight": matrix(258, 64), "model.norm.weight": torch.rand(64, generator=random) + 0.5}
    # Nothing speaks for a control token: greedy answers are as long as they may be.
    found["model.embed_tokens.weight"][256:] = 0
    for layer in range(2):
        sizes = {
            "self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64),
            "self_attn.o_proj": (64, 64), "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96),
        }  # fmt: skip
        for name, (rows, columns) in sizes.items():
            found[f"model.layers.{layer}.{name}.weight"] = matrix(rows, columns)
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{layer}.{name}.weight"] = torch.rand(64, generator=random) + 0.5
    return found


def write_folder(folder: Path) -> Path:
    """The model as a folder in the Hugging Face layout."""
    save_file(tensors(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHAT}))
    letters = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens([AddedToken(END, special=True), AddedToken("<turn>", special=True)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@dataclass(frozen=True)
class Tiny:
    """The loaded model."""

    folder: Path
    weights: Weights
    tokenizer: TextTokenizer


@cache
def tiny() -> Tiny:
    """Loaded once."""
    folder = write_folder(Path(mkdtemp(prefix="tiny-llama-")))
    return Tiny(folder, weights_of_folder(folder), tokenizer_of_folder(folder))


def tiny_engine(**options: object) -> Engine:
    """An fp32 engine of 64 blocks over the tiny model; options are those of EngineConfig."""
    chosen: dict[str, object] = {
        "precision": "float32", "kv_blocks": 64, "max_model_len": 256, "max_num_seqs": 8, "speculation": "off"
    }  # fmt: skip
    config = EngineConfig(**(chosen | options))  # type: ignore[arg-type]  # by name
    return Engine(tiny().weights, tiny().tokenizer, config)
