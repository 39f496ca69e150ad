"""The tiny models as sealed artifacts, the user tower as the ONNX graph that serving loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.artifact import Manifest, seal, writing
from models.content_tower import TOKEN_VECTORS_FILE
from models.tower_inputs import TowerInputs
from models.user_tower import ITEM_IDS_FILE, ITEM_VECTORS_FILE, MODEL_FILE, USER_IDS_FILE
from services.retrieval.loading import INDEX_FOLDER
from services.retrieval.loading import MODEL_NAMES as MODELS
from tests.retrieval.tiny_models import DIMENSION, GENRES, IDS, built_index, fitted

__all__ = ["MODELS", "write_artifacts"]


def write_artifacts(folder: Path) -> Path:
    """A folder for each of MODELS."""
    models = fitted()
    vectors = models.tower.item_vectors
    with writing(folder / "two_tower") as draft:
        np.save(draft / ITEM_IDS_FILE, IDS)
        np.save(draft / USER_IDS_FILE, np.empty(0, np.uint64))
        np.save(draft / ITEM_VECTORS_FILE, vectors)
        # An item without events lies in the middle of its genre.
        means = [vectors[genre == IDS % 3].mean(axis=0) for genre in range(len(GENRES))]
        np.save(draft / TOKEN_VECTORS_FILE, np.array(means, np.float32))
        onnx.save(_mean_of_history(vectors), draft / MODEL_FILE)
        built_index(models, draft / INDEX_FOLDER).close()
        inputs = TowerInputs(IDS, np.empty(0, np.uint64), {"gender": ("F", "M")})
        spec = {**inputs.to_json(), "tokens": [f"genre:{name}" for name in GENRES]}
        seal(draft, Manifest("two_tower", "two_tower", spec=spec, metrics={"hr@200": 0.5}))
    with writing(folder / "co_visitation") as draft:
        models.co_visitation.save(draft)
        seal(draft, Manifest("co_visitation", "co_visitation"))
    with writing(folder / "ease") as draft:
        models.ease.save(draft)
        seal(draft, Manifest("ease", "ease"))
    with writing(folder / "popularity") as draft:
        models.popularity.save(draft)
        seal(draft, Manifest("popularity", "popularity"))
    return folder


def _mean_of_history(vectors: NDArray[np.float32]) -> onnx.ModelProto:
    """The direction of the sum of the history's vectors, as MeanTower has it; padding is the row after the last."""
    table = np.concatenate([vectors, np.zeros((1, DIMENSION), np.float32)])
    nobody = np.full((1, DIMENSION), 1e-3, np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "history"], ["rows"], axis=0),
        helper.make_node("ReduceSum", ["rows", "axis"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "nobody"], ["moved"]),
        helper.make_node("LpNormalization", ["moved"], ["vector"], axis=1, p=2),
    ]
    shapes = {"history": ["B", "L"], "waited": ["B", "W"], "length": ["B"], "user": ["B"], "profile": ["B", "P"]}
    graph = helper.make_graph(
        nodes,
        "mean_of_history",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["B", DIMENSION])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(nobody, "nobody"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
