"""The networks that rank, by kind: built from a shape, exported, and read back from a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from models.dcn_v2 import DcnV2, DcnV2Config
from models.dlrm import Dlrm, DlrmConfig
from models.mmoe import Mmoe, MmoeConfig, export_heads
from models.onnx_export import export_onnx
from models.rows import RowLayout

Shape = DlrmConfig | DcnV2Config | MmoeConfig
Network = Dlrm | DcnV2 | Mmoe

_SHAPES: Mapping[str, type[Shape]] = {"dlrm": DlrmConfig, "dcn_v2": DcnV2Config, "mmoe": MmoeConfig}


def build(layout: RowLayout, shape: Shape) -> Network:
    """A network with weights by chance: (N, F) rows in, (N, H) logits out, the first of which is the click's."""
    if isinstance(shape, DlrmConfig):
        return Dlrm(layout, shape)
    if isinstance(shape, DcnV2Config):
        return DcnV2(layout, shape)
    return Mmoe(layout, shape)


def export(network: nn.Module, shape: Shape, columns: int, path: Path) -> None:
    """Writes the network as ONNX: input `features` (N, columns), output `scores` (N, 1), and `heads` of MMoE."""
    if isinstance(shape, MmoeConfig) and isinstance(network, Mmoe):
        export_heads(network, shape, columns, path)
    else:
        export_onnx(network, columns, path)


def kind_of(shape: Shape) -> str:
    """dlrm, dcn_v2 or mmoe."""
    return next(kind for kind, of in _SHAPES.items() if isinstance(shape, of))


def shape_from_json(kind: str, told: Mapping[str, Any]) -> Shape:
    """The reverse of asdict, where tuples have become lists; what the shape does not know is left out.

    KeyError for a kind that is no network, TypeError or ValueError when the values do not make a shape.
    """
    of = _SHAPES[kind]
    known: dict[str, Any] = {field.name: told[field.name] for field in fields(of) if field.name in told}
    shaped: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    return of(**shaped)
