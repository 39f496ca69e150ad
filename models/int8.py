"""The served form of a network with weights of eight bits: a third of the size."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic


def write_int8(source: Path, out: Path) -> None:
    """Writes `out`, the network of `source` with its matrices in int8, a scale for each column; inputs of a matrix are
    put on eight bits batch by batch (Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018, section
    2.1). Inputs, outputs and their names stay.
    """
    network = onnx.load(source)
    # Shapes told by the exporter are of matrices before the library turns them.
    del network.graph.value_info[:]
    with _quiet():
        quantize_dynamic(
            network, out, weight_type=QuantType.QInt8, per_channel=True, nodes_to_exclude=_not_matrices(network)
        )


def _not_matrices(network: onnx.ModelProto) -> list[str]:
    """Products of two activations, of stacks of matrices, and with one column, which has no scales to gain."""
    weights = network.graph.initializer
    matrices = {one.name for one in weights if len(one.dims) == 2 and min(one.dims) > 1}
    others = [node.name for node in network.graph.node if not matrices.intersection(node.input)]
    # The library splits a product with a bias into two before it looks at names.
    return [*others, *(f"{name}_MatMul" for name in others)]


@contextmanager
def _quiet() -> Iterator[None]:
    """The library advises on the root logger what is done here already."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
