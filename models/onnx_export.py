"""Networks as the rankers' served form."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn


def export_onnx(model: nn.Module, columns: int, path: Path, outputs: Sequence[str] = ("scores",)) -> None:
    """Writes the network as ONNX: input `features` (N, columns), what its forward pass returns under `outputs`."""
    with _quiet_exporter():
        torch.onnx.export(
            model.eval(),
            (torch.zeros(4, columns),),
            path,
            input_names=["features"],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("N")},),
            external_data=False,
            dynamo=True,
            verbose=False,
        )


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns of its own internals and of torchvision, which nobody here can act on."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
