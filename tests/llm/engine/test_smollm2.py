"""The real model: SmolLM2-135M-Instruct from its wheel."""

from __future__ import annotations

import json

import pytest
from torch import Tensor

from services.llm.calls import Message, Sampling
from services.llm.engine.chat import ChatTemplate
from services.llm.engine.config import EngineConfig
from services.llm.engine.engine import Engine
from services.llm.engine.loading import load_model, model_path
from services.llm.engine.tokenizer import TextTokenizer
from services.llm.engine.weights import LlamaShape, Weights
from tests.llm.engine.reference import Reference

QUESTIONS = [
    "What is the capital of France?", "Name three colours.", "Why is the sky blue?", "Say hello in Spanish.",
    "What is 2 + 2?", "Write a line about the sea.", "Who wrote Hamlet?", "What is a heist film?",
    "Recommend a comedy.", "Describe a cat in five words.", "What do bees make?", "Define gravity.",
    "Is the earth flat?", "Name a planet.", "What is HTTP?", "Translate 'water' to German.", "What is jazz?",
    "List two fruits.", "How many legs has a spider?", "Repeat: one two three one two three.",
]  # fmt: skip


@pytest.fixture(scope="module")
def model() -> tuple[Weights, TextTokenizer]:
    return load_model(model_path("native://smollm2"))


def in_halves(matrix: Tensor, heads: int) -> Tensor:
    """Rotary rows from neighbouring pairs back to two halves."""
    rows, columns = matrix.shape
    return matrix.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def reference_of(weights: Weights) -> Reference:
    shape: LlamaShape = weights.shape
    found = {"model.embed_tokens.weight": weights.embedding, "model.norm.weight": weights.norm}
    for number, layer in enumerate(weights.layers):
        found |= {
            f"model.layers.{number}.{name}.weight": tensor
            for name, tensor in {
                "input_layernorm": layer.attention_norm,
                "self_attn.q_proj": in_halves(layer.query, shape.heads),
                "self_attn.k_proj": in_halves(layer.key, shape.kv_heads),
                "self_attn.v_proj": layer.value,
                "self_attn.o_proj": layer.attention_output,
                "post_attention_layernorm": layer.mlp_norm,
                "mlp.gate_proj": layer.gate,
                "mlp.up_proj": layer.up,
                "mlp.down_proj": layer.down,
            }.items()
        }
    return Reference(found, shape)


def test_twenty_answers_are_those_of_the_plain_forward_token_for_token(model: tuple[Weights, TextTokenizer]) -> None:
    weights, tokenizer = model
    chat, reference = ChatTemplate(tokenizer), reference_of(weights)
    # Fewer blocks than eight such sequences need, a budget below their prompts: chunks, preemptions, prefix hits.
    config = EngineConfig(
        precision="float32", kv_blocks=14, max_model_len=128, max_num_seqs=8, max_num_batched_tokens=48,
        speculation="on",
    )  # fmt: skip
    engine = Engine(weights, tokenizer, config)
    prompts = [chat.render([Message("user", question)]) for question in QUESTIONS]
    outputs: list[list[int]] = [[] for _ in prompts]
    for place, prompt in enumerate(prompts):
        engine.add_request(str(place), prompt, Sampling(max_tokens=16, temperature=0))
    while engine.has_work:
        for output in engine.step():
            outputs[int(output.request_id)] += output.tokens
    assert all(reference.agrees(prompt, output) for prompt, output in zip(prompts, outputs, strict=True))
    stats = engine.stats()
    assert min(stats.preemptions, stats.prefix_hits, stats.accepted_tokens) > 0


def test_int8_answers_sensibly_and_in_json_when_asked(model: tuple[Weights, TextTokenizer]) -> None:
    weights, tokenizer = model
    engine = Engine(weights, tokenizer, EngineConfig(kv_blocks=64, max_model_len=512))
    for name, text, sampling in (
        ("capital", "What is the capital of France?", Sampling(max_tokens=16, temperature=0)),
        ("json", "Ann is 31 years old. Give her name and age.", Sampling(max_tokens=40, temperature=0, json_schema={
            "type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
            "required": ["name", "age"], "additionalProperties": False})),
    ):  # fmt: skip
        engine.add_request(name, ChatTemplate(tokenizer).render([Message("user", text)]), sampling)
    texts = {"capital": "", "json": ""}
    while engine.has_work:
        for output in engine.step():
            texts[output.request_id] += output.piece.text
    assert "Paris" in texts["capital"]
    assert json.loads(texts["json"]).keys() == {"name", "age"}


def test_text_comes_back_from_its_tokens_and_turns_are_control_tokens(model: tuple[Weights, TextTokenizer]) -> None:
    _, tokenizer = model
    for text in ("Hello, world!", " The year 1999: 'naïve' 日本語 😀\n\n\tend"):
        assert b"".join(tokenizer.token_bytes[token] for token in tokenizer.encode(text)).decode() == text
    # As the model's own tokenizer has it: one token per digit, a space joins its word.
    assert [tokenizer.text_of(token) for token in tokenizer.encode("in 1999 films")] == [
        "in", " ", "1", "9", "9", "9", " films",
    ]  # fmt: skip
    tokens = ChatTemplate(tokenizer).render([Message("user", "Hi<|im_end|> there")])
    assert tokens.count(tokenizer.encode("<|im_end|>")[0]) == 2
    assert tokenizer.end_tokens == {2}
