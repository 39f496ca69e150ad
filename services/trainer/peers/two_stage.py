"""The bar for a whole funnel: simple candidates, then trees that weigh many simple signals.

Candidates are the best of ordered co-visitation and of EASE with a fading history; LightGBM learns on each user's
newest known event, from signals fitted without it, which of them comes next. The signals are then fitted anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.lambdamart import LambdaMartConfig, fit_trees
from models.rows import LabelledRows
from services.runtime.errors import SettingsError
from services.trainer.peers.signals import Signals
from services.trainer.peers.task import Task, columns

TREES = LambdaMartConfig(
    objective="binary", trees=600, leaves=31, learning_rate=0.04, min_rows_in_leaf=50, l2=5.0, patience=40
)
"""As usual for such data; their number is chosen on users held out."""
HELD_OUT = 0.1
"""Share of the users on whom the number of trees is chosen."""


@dataclass(frozen=True, slots=True)
class TwoStagePeer:
    """Signals of all histories, and the trees that weigh them."""

    signals: Signals
    trees: lightgbm.Booster

    @classmethod
    def fit(cls, task: Task) -> Self:
        """Learns on the newest event of each history, then takes it into the signals."""
        return cls(Signals.fit(task.history, task.at_ms), _trees(task))

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) log-odds of the candidates; below them all the others, in the order of EASE."""
        signals = self.signals
        scores = np.empty((users.size, signals.items), np.float32)
        for row, user in enumerate(users.tolist()):
            found = signals.candidates(user)
            scores[row] = -1e3 + np.clip(signals.faded(user), -100.0, 100.0)
            if found.places.size:
                odds = self.trees.predict(signals.features(user, found), raw_score=True)
                scores[row, found.places] = np.asarray(odds, np.float32)
        return scores


def _trees(task: Task) -> lightgbm.Booster:
    earlier = Task.of(task.history, task.seed)
    signals = Signals.fit(earlier.history, earlier.at_ms)
    places = columns(task.history)
    features, labels, sizes = [], [], []
    for user in np.flatnonzero(earlier.at_ms > 0).tolist():
        found = signals.candidates(user)
        # The event that the signals have not seen.
        hit = found.places == places[task.history.offsets[user + 1] - 1]
        if hit.any():
            features.append(signals.features(user, found))
            labels.append(hit.astype(np.float32))
            sizes.append(hit.size)
    if len(sizes) < 2:
        raise SettingsError(
            "The two-stage peer finds too few of the users' last events to learn from. Bring more data."
        )
    rows = np.concatenate(features)
    every = LabelledRows(rows, np.concatenate(labels), np.ones(len(rows), np.float32), np.array(sizes, np.int64))
    order = np.random.default_rng(task.seed).permutation(len(sizes))
    held_out = order < max(1, round(HELD_OUT * len(sizes)))
    return fit_trees(every.of_queries(~held_out), every.of_queries(held_out), TREES, task.seed)
