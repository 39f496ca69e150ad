"""The served half of the two towers: a user's interests from ONNX, and the item vectors they are compared with.

    tower = UserTower.load(folder)                 # the artifact of two_tower
    scores = nearest_scores(tower.item_vectors, tower.encode(user))

No torch here: it runs in the retrieval service.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.artifact import DamagedArtifact, read_manifest
from models.tower_inputs import TowerInputs, profiles_from_json
from models.user import UserState

MODEL_FILE = "user_tower.onnx"
ITEM_IDS_FILE = "item_ids.npy"
ITEM_VECTORS_FILE = "item_vectors.npy"
USER_IDS_FILE = "user_ids.npy"


class UserTower:
    """Users to K interests each, vectors of length D in the space of the I items' vectors."""

    def __init__(self, inputs: TowerInputs, item_vectors: NDArray[np.float32], session: ort.InferenceSession) -> None:
        self.item_ids = inputs.item_ids
        """(I,) sorted."""
        self.item_vectors = item_vectors
        """(I, D) L2-normalised; row i belongs to item_ids[i]."""
        # A graph of one interest answers (B, D).
        shape = session.get_outputs()[0].shape
        self.interests: int = shape[1] if len(shape) == 3 else 1
        """K, the vectors of one user."""
        self._inputs = inputs
        self._session = session

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The tower of an artifact folder; item vectors are memory-mapped. DamagedArtifact when it is not whole."""
        profiles = profiles_from_json(read_manifest(folder).spec)
        inputs = TowerInputs(np.load(folder / ITEM_IDS_FILE), np.load(folder / USER_IDS_FILE), profiles)
        # A plain view of the mapping: every slice of a memmap costs a look at what it is.
        item_vectors = np.asarray(np.load(folder / ITEM_VECTORS_FILE, mmap_mode="r"))
        if item_vectors.shape[0] != inputs.item_ids.size:
            raise DamagedArtifact(
                f"{folder} holds {item_vectors.shape[0]} item vectors for {inputs.item_ids.size} items. Train again."
            )
        return cls(inputs, item_vectors, _session(folder / MODEL_FILE))

    def encode(self, user: UserState) -> NDArray[np.float32]:
        """(K, D) the user's interests, L2-normalised.

        Unknown items of the history are skipped; a stranger is placed by profile and history, and a user without
        history by id and profile alone.
        """
        interests: NDArray[np.float32] = self.encode_batch([user])[0]
        return interests

    def encode_batch(self, users: Sequence[UserState]) -> NDArray[np.float32]:
        """(B, K, D) the interests of B users."""
        if not users:
            return np.empty((0, self.interests, self.item_vectors.shape[1]), np.float32)
        vectors: NDArray[np.float32] = self._session.run(None, dict(self._inputs.columns(users)))[0]
        return vectors.reshape(len(users), self.interests, -1)


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # A single user gains nothing from more threads, and they would take turns with those of other requests.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # onnxruntime raises a private class for each kind of failure.
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise DamagedArtifact(f"{path} cannot be loaded: {error}. Train again.") from error
