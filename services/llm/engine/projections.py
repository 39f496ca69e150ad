"""Matrix products of the model: plain, or with int8 weights and activations quantised row by row."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from services.llm.engine.config import EngineConfig
from services.runtime.errors import SettingsError

Projection = Callable[[Tensor], Tensor]
"""(N, in) to (N, out)."""
Project = Callable[[Tensor, float | None], Projection]
"""Makes one of a float32 matrix [out, in]; with an epsilon, rows are first divided by their root mean square."""

_LEVELS = 127
_LEAST_RANGE = 1e-12


def project_with(config: EngineConfig) -> Project:
    """How matrices become projections under this configuration."""
    if config.precision == "int8":
        if "fbgemm" not in torch.backends.quantized.supported_engines:
            raise SettingsError("precision int8 needs fbgemm (an x86 CPU); set float32.", field="precision")
        return Int8Projection
    dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32

    def dense(matrix: Tensor, epsilon: float | None) -> Projection:
        return DenseProjection(matrix.to(config.device, dtype), epsilon)

    return dense


class DenseProjection:
    """norm(x) W^T, or x W^T without an epsilon."""

    def __init__(self, matrix: Tensor, epsilon: float | None = None) -> None:
        self._matrix, self._epsilon = matrix.contiguous(), epsilon

    def __call__(self, x: Tensor) -> Tensor:
        """(N, in) to (N, out)."""
        if self._epsilon is not None:
            x = functional.rms_norm(x, x.shape[-1:], eps=self._epsilon)
        return functional.linear(x, self._matrix)


class Int8Projection:
    """Dynamic quantisation: weights symmetric per output row, activations symmetric per token.

    The library's own dynamic product takes one range for the whole batch: a token's result would depend on its
    neighbours, and a row of small values among large ones would lose its digits. Rows scaled to one range by hand and
    multiplied with that fixed range have neither fault, for a few cheap operations (Dettmers et al., "LLM.int8()",
    NeurIPS 2022, section 3.1: vector-wise quantisation). Scaled rows are the same before and after a norm that only
    divides: it becomes one more factor of the result.
    """

    def __init__(self, matrix: Tensor, epsilon: float | None = None) -> None:
        self._packed = _packed(matrix)
        self._epsilon = torch.tensor(epsilon) if epsilon is not None else None
        self._share = 1 / matrix.shape[1]

    def __call__(self, x: Tensor) -> Tensor:
        """(N, in) to (N, out), float32."""
        ranges = x.abs().amax(dim=-1, keepdim=True).clamp_min_(_LEAST_RANGE)
        product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            x / ranges, 1 / _LEVELS, _LEVELS, self._packed
        )
        if self._epsilon is not None:
            length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            ranges *= torch.addcmul(self._epsilon, length, length, value=self._share).rsqrt_()
        return product.mul_(ranges)


def _packed(matrix: Tensor) -> torch.ScriptObject:
    """int8 rows in the layout of the CPU's product."""
    ranges = matrix.abs().amax(dim=1).clamp_min(_LEAST_RANGE)
    zeros = torch.zeros(len(ranges), dtype=torch.int64)
    engine = torch.backends.quantized.engine
    with warnings.catch_warnings():
        # Deprecated in favour of a package that has no replacement for this product on x86.
        warnings.simplefilter("ignore")
        try:
            torch.backends.quantized.engine = "fbgemm"
            quantised = torch.quantize_per_channel(matrix, ranges.double() / _LEVELS, zeros, 0, torch.qint8)
            packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(quantised, None)
        finally:
            torch.backends.quantized.engine = engine
    return packed
