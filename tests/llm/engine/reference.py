"""A plain Llama forward, the oracle of the engine: no cache, no pages, no batch, rotary positions by halves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from services.llm.engine.weights import LlamaShape


class Reference:
    """Full attention over all tokens, in float32, from tensors in the Hugging Face layout."""

    def __init__(self, tensors: dict[str, Tensor], shape: LlamaShape) -> None:
        self._tensors, self._shape = tensors, shape

    def logits(self, tokens: Sequence[int]) -> Tensor:
        """(tokens, vocabulary)"""
        shape, length = self._shape, len(tokens)
        with torch.inference_mode():
            hidden = self._of("model.embed_tokens")[torch.tensor(tokens)]
            for layer in range(shape.layers):
                name = f"model.layers.{layer}"
                x = self._norm(hidden, f"{name}.input_layernorm")
                query = self._heads(x, f"{name}.self_attn.q_proj", shape.heads, rotary=True)
                key = self._heads(x, f"{name}.self_attn.k_proj", shape.kv_heads, rotary=True)
                value = self._heads(x, f"{name}.self_attn.v_proj", shape.kv_heads, rotary=False)
                key, value = (part.repeat_interleave(shape.heads // shape.kv_heads, dim=0) for part in (key, value))
                scores = query @ key.transpose(1, 2) / shape.head_dim**0.5
                scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), float("-inf"))
                mixed = (scores.softmax(-1) @ value).transpose(0, 1).reshape(length, -1)
                hidden = hidden + mixed @ self._of(f"{name}.self_attn.o_proj").T
                x = self._norm(hidden, f"{name}.post_attention_layernorm")
                gate = torch.nn.functional.silu(x @ self._of(f"{name}.mlp.gate_proj").T)
                hidden = hidden + (gate * (x @ self._of(f"{name}.mlp.up_proj").T)) @ self._of(f"{name}.mlp.down_proj").T
            return self._norm(hidden, "model.norm") @ self._of("model.embed_tokens").T

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """`count` tokens, everything computed again for each."""
        tokens = list(prompt)
        for _ in range(count):
            tokens.append(int(self.logits(tokens)[-1].argmax()))
        return tokens[len(prompt) :]

    def agrees(self, prompt: Sequence[int], output: Sequence[int]) -> bool:
        """Whether `greedy` would give the output: by induction, if each of its tokens is the likeliest after those
        before it, which one forward over all of them shows."""
        likeliest = self.logits([*prompt, *output])[len(prompt) - 1 : -1].argmax(-1).tolist()
        return likeliest == list(output)

    def _of(self, name: str) -> Tensor:
        return self._tensors[f"{name}.weight"]

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + self._shape.norm_epsilon).sqrt() * self._of(name)

    def _heads(self, x: Tensor, name: str, heads: int, *, rotary: bool) -> Tensor:
        """(heads, tokens, head_dim)"""
        parts = (x @ self._of(name).T).view(len(x), heads, -1).transpose(0, 1)
        return self._rotated(parts) if rotary else parts

    def _rotated(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        speeds = self._shape.rope_theta ** (-torch.arange(half) / half)
        angles = torch.outer(torch.arange(x.shape[1]), speeds)
        first, second = x[..., :half], x[..., half:]
        return torch.cat(
            [first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], dim=-1
        )
