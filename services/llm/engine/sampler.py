"""The next token from its logits.

Each choice is a pure function of the logits, the request's seed and the token's place: neither the batch, nor a
preemption, nor a draft changes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_NUCLEUS_GUESS = 256
"""Candidates sorted first; nearly every nucleus is smaller."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A token, and how likely the model held it and the likeliest ones, when asked for."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


def choose(logits: Tensor, temperature: float, top_p: float, seed: int, place: int) -> int:
    """A token from (vocabulary,) logits: the likeliest at temperature 0, else drawn from the nucleus of `top_p`.

    Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020.
    """
    if temperature <= 0:
        return int(logits.argmax())
    draw = uniform(seed, place)
    if top_p >= 1:
        return _invert(torch.softmax(logits.double() / temperature, dim=-1), draw)
    tokens, probabilities = nucleus(logits, temperature, top_p)
    return int(tokens[_invert(probabilities, draw)])


def nucleus(logits: Tensor, temperature: float, top_p: float) -> tuple[Tensor, Tensor]:
    """The fewest likeliest tokens whose probability reaches top_p: (tokens, probabilities that sum to 1), sorted."""
    scaled = logits / temperature
    total = torch.logsumexp(scaled, dim=-1)
    for size in (min(_NUCLEUS_GUESS, scaled.numel()), scaled.numel()):
        values, tokens = scaled.topk(size)
        probabilities = (values - total).double().exp()
        sums = probabilities.cumsum(0)
        if float(sums[-1]) >= top_p:
            break
    count = int((sums < top_p).sum()) + 1
    kept = probabilities[:count]
    return tokens[:count], kept / kept.sum()


def uniform(seed: int, place: int) -> float:
    """A number in [0, 1) that depends on nothing else."""
    return float(np.random.Generator(np.random.Philox(key=seed % 2**64, counter=place)).random())


def log_probabilities(logits: Tensor, token: int, count: int) -> Choice:
    """The token with its log-probability under the unscaled logits, and the `count` likeliest."""
    total = float(torch.logsumexp(logits, dim=-1))
    values, tokens = logits.topk(min(count, logits.numel()))
    pairs = zip(tokens.tolist(), (values - total).tolist(), strict=True)
    # A masked token has probability zero, which JSON cannot write as a logarithm.
    return Choice(token, float(logits[token]) - total, tuple(pair for pair in pairs if math.isfinite(pair[1])))


def _invert(probabilities: Tensor, draw: float) -> int:
    """The smallest index at which the running sum passes `draw`."""
    sums = probabilities.cumsum(0)
    index = int(torch.searchsorted(sums, draw * float(sums[-1]), right=True))
    return min(index, probabilities.numel() - 1)
