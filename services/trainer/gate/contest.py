"""Both rankers on the same rows, scored once; what every check of clicks looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.feature_blocks import POSITION_COLUMN
from services.trainer.examples.examples import Examples
from services.trainer.gate.clickmodel import click_probabilities, log_losses
from services.trainer.gate.config import GateConfig
from services.trainer.gate.lists import ndcg, slates_of
from services.trainer.gate.paired import Difference, compare

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contest:
    """M rows in Q slates, newest last, and the scores of both."""

    examples: Examples
    scores: Mapping[str, Floats]
    """(M,) finite, by side."""
    examination: Floats
    """(K,) how much each place is looked at, from the top."""
    config: GateConfig
    seed: int

    @cached_property
    def users(self) -> NDArray[np.uint64]:
        """(Q,) whose slate it is."""
        sizes = self.examples.group_sizes
        users: NDArray[np.uint64] = self.examples.user_ids[np.cumsum(sizes) - sizes]
        return users

    @cached_property
    def clicked(self) -> Floats:
        """(M,) 1 or 0."""
        return (self.examples.labels > 0).astype(np.float64)

    @cached_property
    def clicked_slates(self) -> NDArray[np.bool_]:
        """(Q,) slates with a click."""
        return np.bincount(slates_of(self.examples.group_sizes), self.clicked, self.examples.group_sizes.size) > 0

    @cached_property
    def decided(self) -> bool:
        """True when there are clicks enough of people enough to tell the two apart."""
        users = np.unique(self.users[self.clicked_slates]).size
        return int(self.clicked_slates.sum()) >= self.config.min_clicks and users >= self.config.min_users

    @cached_property
    def inverse_propensities(self) -> Floats:
        """(M,) 1 / examination of the place a row was shown at, clipped."""
        place = np.minimum(self.examples.positions, self.examination.size) - 1
        weights: Floats = np.minimum(1 / np.maximum(self.examination[place], 1e-9), self.config.clip)
        return weights

    @cached_property
    def newer(self) -> NDArray[np.bool_]:
        """(M,) rows of the newer half of the slates; probabilities are calibrated on the others."""
        older, _ = self.examples.split_newest(0.5)
        return np.arange(len(self.examples)) >= len(older)

    @cached_property
    def probabilities(self) -> dict[str, Floats]:
        """(M,) P(click) by side, calibrated on the older half. Needs clicks there."""
        positions, older = self.examples.positions, ~self.newer
        return {
            side: click_probabilities(scores, positions, self.clicked, older) for side, scores in self.scores.items()
        }

    def ndcg_difference(self, rows: NDArray[np.bool_] | None = None, *, weighted: bool = False) -> Difference | None:
        """NDCG@10 over the slates with a click, on a row of `rows` if given; None when there is none.

        `weighted` counts a click by its inverse propensity: as a gain within its slate, and as the weight of the slate.
        """
        gains = 2.0 ** self.examples.labels.astype(np.float64) - 1
        if rows is not None:
            gains = np.where(rows, gains, 0.0)
        weighed = gains * self.inverse_propensities if weighted else gains
        sizes = self.examples.group_sizes
        values = {side: ndcg(scores, weighed, sizes) for side, scores in self.scores.items()}
        kept = ~np.isnan(values["champion"])
        if not kept.any():
            return None
        totals = [np.bincount(slates_of(sizes), of, sizes.size)[kept] for of in (weighed, gains)]
        return self._compare({side: of[kept] for side, of in values.items()}, self.users[kept], totals[0] / totals[1])

    def log_loss_difference(self, rows: NDArray[np.bool_] | None = None) -> Difference | None:
        """Log-loss of the newer half, of `rows` of it if given; None when no row or no click is left."""
        kept = self.newer if rows is None else self.newer & rows
        if not self.clicked[kept].any() or not self.clicked[~self.newer].any():
            return None
        losses = {side: log_losses(of[kept], self.clicked[kept]) for side, of in self.probabilities.items()}
        return self._compare(losses, self.examples.user_ids[kept], None, lower_is_better=True)

    def _compare(
        self,
        values: Mapping[str, Floats],
        users: NDArray[np.uint64],
        weights: Floats | None,
        *,
        lower_is_better: bool = False,
    ) -> Difference:
        return compare(
            values["champion"],
            values["challenger"],
            users,
            seed=self.seed,
            weights=weights,
            resamples=self.config.resamples,
            confidence=self.config.confidence,
            lower_is_better=lower_is_better,
        )


def as_served(examples: Examples) -> NDArray[np.float32]:
    """(M, F) rows as a ranker is asked: no item has a place yet."""
    features = examples.features.copy()
    if POSITION_COLUMN in examples.columns:
        features[:, examples.columns.index(POSITION_COLUMN)] = 0.0
    return features
