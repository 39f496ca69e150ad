"""Models that must not stay: whole, sealed and loadable, and wrong. Each is made from the champion that serves.

folder = inverted(champion_folder, scratch / "inverted")
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper
from scipy.stats import ortho_group

from models.artifact import read_manifest, seal, verify, writing
from models.ranking import MODEL_FILE
from models.user_tower import ITEM_IDS_FILE, ITEM_VECTORS_FILE
from services.retrieval.loading import INDEX_FOLDER
from services.trainer.index import build_index

TIMES_SLOWER = 20
Forge = Callable[[Path, Path], Path]
"""(folder of the champion, folder to write) -> the folder written."""


def inverted(champion: Path, out: Path) -> Path:
    """The ranker upside down: a sign lost somewhere."""
    with _changed(champion, out) as model:
        (output,) = model.graph.output
        for node in model.graph.node:
            node.output[:] = ["upright" if name == output.name else name for name in node.output]
        model.graph.node.append(helper.make_node("Neg", ["upright"], [output.name]))
    return out


def nan_weights(champion: Path, out: Path) -> Path:
    """The ranker after a fit that diverged: its weights are no numbers."""
    with _changed(champion, out) as model:
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype == np.float32 and values.ndim > 1:
                tensor.CopyFrom(numpy_helper.from_array(np.full_like(values, np.nan), tensor.name))
        for attribute in (attribute for node in model.graph.node for attribute in node.attribute):
            if attribute.name == "target_weights":
                attribute.floats[:] = [float("nan")] * len(attribute.floats)
    return out


def slow(champion: Path, out: Path, times: int = TIMES_SLOWER) -> Path:
    """The same scores, computed `times` times, each time after the other."""
    with _changed(champion, out) as model:
        graph = model.graph
        (asked,), (answer,) = graph.input, graph.output
        once, rows = list(graph.node), asked.name
        del graph.node[:], graph.value_info[:]
        graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "nothing"))
        for turn in range(times):
            graph.node.extend(_copies(once, turn, asked.name, rows))
            scores = f"{answer.name}/{turn}"
            # The next turn waits for this one: a runtime joins what is equal, and may run side by side what is not.
            rows = f"{asked.name}/{turn + 1}"
            graph.node.append(helper.make_node("Mul", [scores, "nothing"], [f"waited/{turn}"]))
            graph.node.append(helper.make_node("Add", [asked.name, f"waited/{turn}"], [rows]))
        graph.node.append(helper.make_node("Identity", [scores], [answer.name]))
    return out


def stale_tower(champion: Path, out: Path) -> Path:
    """Item vectors and index of one training beside the user tower of another: two spaces, each turned its own way."""
    with _copied(champion, out) as draft:
        vectors = np.load(draft / ITEM_VECTORS_FILE)
        turned = (vectors @ ortho_group.rvs(vectors.shape[1], random_state=0)).astype(np.float32)
        np.save(draft / ITEM_VECTORS_FILE, turned)
        ids = np.load(draft / ITEM_IDS_FILE)
        shutil.rmtree(draft / INDEX_FOLDER)
        build_index(ids, turned, [()] * ids.size, draft / INDEX_FOLDER)
    return out


def _copies(nodes: list[NodeProto], turn: int, asked: str, rows: str) -> Iterator[NodeProto]:
    """The nodes with results of their own, reading `rows` where they read `asked`."""
    made = {name for node in nodes for name in node.output}
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{node.name}/{turn}" if node.name else ""
        copy.input[:] = [rows if name == asked else f"{name}/{turn}" if name in made else name for name in node.input]
        copy.output[:] = [f"{name}/{turn}" for name in node.output]
        yield copy


@contextmanager
def _changed(champion: Path, out: Path) -> Iterator[ModelProto]:
    """A copy of the artifact whose graph the block changes."""
    with _copied(champion, out) as draft:
        model = onnx.load(draft / MODEL_FILE)
        yield model
        onnx.checker.check_model(model)
        onnx.save(model, draft / MODEL_FILE)


@contextmanager
def _copied(champion: Path, out: Path) -> Iterator[Path]:
    """A copy of the artifact that is sealed again when the block ends."""
    verify(champion)
    with writing(out) as draft:
        shutil.copytree(champion, draft, dirs_exist_ok=True)
        yield draft
        seal(draft, read_manifest(draft))
