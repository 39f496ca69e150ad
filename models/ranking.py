"""One face for every ranker: rows of features in, one score per row out, and what its heads say where it has some.

ranker = load_ranker(folder)                                       # whatever kind the manifest names
rows = ranker.spec.assemble(user, items, ids, retrieval_scores, at_ms)
scores = ranker.score(rows)                                        # (N,), higher is better
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.artifact import DamagedArtifact, verify
from models.heads import Heads
from models.spec import FeatureSpec

MODEL_FILE = "model.onnx"
"""The served form of every ranker: input `features` (N, F) float32, output `scores` (N, 1) float32, and of one with
heads also `heads` (N, H) float32."""


class Ranker(Protocol):
    """What serving and evaluation need of a ranker."""

    @property
    def spec(self) -> FeatureSpec:
        """The rows it wants."""

    @property
    def kind(self) -> str:
        """lambdamart, dlrm, ..."""

    @property
    def heads(self) -> Heads | None:
        """What it predicts beside what comes next, or None for a ranker with one score."""

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, H) one logit per (N, F) row and head, of a ranker with heads."""

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) one score per (N, F) row; rows may hold NaN anywhere."""


class OnnxRanker:
    """A ranker in ONNX Runtime, on the calling thread."""

    def __init__(
        self, session: onnxruntime.InferenceSession, kind: str, spec: FeatureSpec, heads: Heads | None = None
    ) -> None:
        self._session = session
        self.kind = kind
        self.spec = spec
        self.heads = heads

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) one score per (N, F) row."""
        if not features.shape[0]:
            return np.empty(0, np.float32)
        (scores,) = self._session.run(("scores",), {"features": features})
        flat: NDArray[np.float32] = np.asarray(scores, np.float32).reshape(-1)
        return flat

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, H) one logit per (N, F) row and head."""
        if self.heads is None:
            raise ValueError(f"A ranker of kind {self.kind} has one score and no heads.")
        if not features.shape[0]:
            return np.empty((0, len(self.heads.names)), np.float32)
        (logits,) = self._session.run(("heads",), {"features": features})
        return np.asarray(logits, np.float32)


def load_ranker(folder: Path) -> OnnxRanker:
    """The ranker of an artifact folder, its checksums verified. Raises DamagedArtifact, naming what is wrong."""
    manifest = verify(folder)
    try:
        spec = FeatureSpec.from_json(manifest.spec)
        return OnnxRanker(open_session(folder / MODEL_FILE), manifest.kind, spec, Heads.of(manifest.config))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedArtifact(f"{folder} cannot be loaded as a ranker: {error}") from error


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """A session with one thread: a service scales by processes, and a request must not wait for a pool."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
