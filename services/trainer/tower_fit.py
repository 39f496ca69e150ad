"""The fit of the two towers: every item of a history is predicted from those before it, against sampled negatives."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.item_content import ItemContent
from models.losses import sampled_info_nce
from models.tower_inputs import TowerInputs
from models.two_tower import TwoTower, TwoTowerConfig
from models.user import HISTORY_LENGTH
from services.trainer.item_factors import ppmi_factors
from services.trainer.tower_windows import Batch, Sequences

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class TowerFitConfig:
    """How the towers are fitted."""

    epochs: int = 4
    """Passes over all events in a first fit."""
    refit_epochs: int = 1
    """Passes when an earlier tower is the start."""
    patience: int = 2
    """Passes without a better estimate on the held-out events after which fitting stops."""
    held_out: int = 1000
    """Users whose last event is held out for that estimate."""
    batch_windows: int = 128
    """Windows of at most 51 events in one step."""
    negatives: int = 512
    """Sampled items that all targets of a step are compared with."""
    negative_power: float = 0.5
    """Negatives are drawn in proportion to the number of events to this power."""
    temperature: float = 0.05
    """Divisor of the cosines."""
    learning_rate: float = 4e-3
    """Peak of AdamW's rate, reached after the warm-up and left along half a cosine."""
    refit_rate: float = 1e-3
    """The peak when an earlier tower is the start."""
    warm_up: int = 50
    """Steps of the warm-up."""
    weight_decay: float = 0.01
    """Of AdamW."""
    start_window: int = 10
    """Window of the counts whose factorisation the item table starts from."""
    threads: int = 2
    """Threads of the fit."""


@dataclass(frozen=True, eq=False)
class TowerData:
    """What the towers learn from, as the indices that they read. Users stand in the order of inputs.user_ids."""

    inputs: TowerInputs
    content: ItemContent
    """Of inputs.item_ids, in their order."""
    sequences: Sequences
    profiles: NDArray[np.int64]
    """(U, P) profile indices."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """(B,) users, and the row of the item that came after their sequence."""

    users: NDArray[np.int64]
    targets: NDArray[np.int64]


def fit_tower(
    data: TowerData,
    shape: TwoTowerConfig,
    config: TowerFitConfig,
    seed: int,
    warm_start: Callable[[TwoTower], None] | None = None,
    progress: Progress | None = None,
) -> tuple[TwoTower, dict[str, float]]:
    """The towers of the best epoch, and their hit rates on the held-out events.

    `warm_start` fills new towers with the weights of earlier ones; without it the item table starts from a
    factorisation of co-occurrences. `progress(done, planned)` counts steps.
    """
    with torch.random.fork_rng(devices=[]), _arithmetic(config.threads):
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        data, held = _split(data, config.held_out, random)
        towers = TwoTower(data.inputs, data.content, shape)
        if warm_start is None:
            _start_from_counts(towers, data, shape, config, seed)
        else:
            warm_start(towers)
        epochs, rate = (
            (config.epochs, config.learning_rate) if warm_start is None else (config.refit_epochs, config.refit_rate)
        )
        metrics = _Fit(towers, data, config, epochs, rate, random, progress).run(held)
    return towers.eval(), metrics


class _Fit:
    """The state of one fit: optimiser, schedule, sampler."""

    def __init__(
        self,
        towers: TwoTower,
        data: TowerData,
        config: TowerFitConfig,
        epochs: int,
        peak: float,
        random: np.random.Generator,
        progress: Progress | None,
    ) -> None:
        self._towers, self._data, self._config, self._random = towers, data, config, random
        self._epochs, self._peak, self._progress = epochs, peak, progress
        self._planned = max(epochs * data.sequences.batch_count(config.batch_windows), 1)
        self._step = 0
        self._optimizer = torch.optim.AdamW(towers.parameters(), lr=peak, weight_decay=config.weight_decay, fused=True)
        counts = np.bincount(data.sequences.items, minlength=data.sequences.padding) + 1.0
        share = counts**config.negative_power / (counts**config.negative_power).sum()
        self._cumulative = np.cumsum(share)
        self._log_expected = torch.from_numpy(np.log(share * config.negatives).astype(np.float32))

    def run(self, held: HeldOut) -> dict[str, float]:
        """Fits until the epochs or the patience run out, and leaves the towers with their best weights."""
        best, weights, metrics, waited = -math.inf, None, dict[str, float](), 0
        for _ in range(self._epochs):
            self._epoch()
            ranks = held_out_ranks(self._towers, self._data, held)
            # The mean of 1 / log2(1 + rank) moves with every rank, where a hit rate of so few users would jump.
            quality = float((1.0 / np.log2(1.0 + ranks)).mean()) if ranks.size else 0.0
            waited = 0 if quality > best else waited + 1
            if waited == 0:
                best, weights = quality, copy.deepcopy(self._towers.state_dict())
                metrics = {f"held_out_hr@{k}": float((ranks <= k).mean()) for k in (10, 200) if ranks.size}
            if waited >= self._config.patience:
                break
        if weights is not None:
            self._towers.load_state_dict(weights)
        return metrics

    def _epoch(self) -> None:
        self._towers.train()
        for batch in self._data.sequences.batches(self._config.batch_windows, self._random):
            self._schedule()
            loss = self._loss(batch)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
            nn.utils.clip_grad_norm_(self._towers.parameters(), 1.0)
            self._optimizer.step()
            if self._progress is not None:
                self._progress(min(self._step, self._planned), self._planned)

    def _loss(self, batch: Batch) -> torch.Tensor:
        data = self._data
        users, items = self._towers(
            torch.from_numpy(batch.history),
            torch.from_numpy(batch.users + 1),
            torch.from_numpy(data.profiles[batch.users]),
        )
        targets = torch.from_numpy(batch.targets)
        real = targets != data.sequences.padding
        drawn = np.searchsorted(self._cumulative, self._random.random(self._config.negatives))
        negatives = torch.from_numpy(np.minimum(drawn, self._cumulative.size - 1))
        temperature = self._config.temperature
        return sampled_info_nce(users[real], targets[real], items, negatives, self._log_expected, temperature)

    def _schedule(self) -> None:
        self._step += 1
        falling = 0.5 * (1.0 + math.cos(math.pi * min(self._step / self._planned, 1.0)))
        for group in self._optimizer.param_groups:
            group["lr"] = self._peak * min(1.0, self._step / self._config.warm_up) * (falling + 0.01)


def held_out_ranks(towers: TwoTower, data: TowerData, held: HeldOut) -> NDArray[np.int64]:
    """(B,) rank from 1 of each held-out item among all items but those of the user's sequence."""
    towers.eval()
    sequences = data.sequences
    ranks = [np.empty(0, np.int64)]
    for first in range(0, held.users.size, 256):
        users, targets = held.users[first : first + 256], held.targets[first : first + 256]
        history, lengths = sequences.newest(users, HISTORY_LENGTH)
        with torch.inference_mode():
            vectors, items = towers(
                torch.from_numpy(history), torch.from_numpy(users + 1), torch.from_numpy(data.profiles[users])
            )
            scores = (vectors[torch.arange(users.size), torch.from_numpy(lengths)] @ items.T).numpy()
        wanted = scores[np.arange(users.size), targets]
        for row, user in enumerate(users.tolist()):
            scores[row, sequences.items[sequences.offsets[user] : sequences.offsets[user + 1]]] = -np.inf
        ranks.append(1 + (scores > wanted[:, None]).sum(axis=1))
    return np.concatenate(ranks)


def _split(data: TowerData, count: int, random: np.random.Generator) -> tuple[TowerData, HeldOut]:
    """Holds out the last event of `count` users, and of at most every fifth, who have another one before it."""
    able = np.flatnonzero(np.diff(data.sequences.offsets) >= 2)
    users = np.sort(random.choice(able, min(count, able.size // 5), replace=False))
    sequences, targets = data.sequences.without_last(users)
    return TowerData(data.inputs, data.content, sequences, data.profiles), HeldOut(users, targets)


def _start_from_counts(
    towers: TwoTower, data: TowerData, shape: TwoTowerConfig, config: TowerFitConfig, seed: int
) -> None:
    sequences = data.sequences
    factors = ppmi_factors(
        sequences.offsets, sequences.items, sequences.padding, shape.width, config.start_window, seed
    )
    with torch.no_grad():
        towers.items.ids.copy_(torch.from_numpy(factors * np.float32(shape.width**-0.5)))


@contextmanager
def _arithmetic(threads: int) -> Iterator[None]:
    """This many threads, and no denormal numbers: AdamW's moments of rare items become ones, at 10 times the cost."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
