"""The fit of the two towers: every item of a history is predicted from those before it, against sampled negatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.item_content import ItemContent
from models.losses import sampled_info_nce
from models.tower_inputs import TowerInputs
from models.two_tower import TwoTower, TwoTowerConfig
from models.user import HISTORY_LENGTH
from services.trainer.checkpoints import Checkpoint, fingerprint
from services.trainer.compute import Compute
from services.trainer.item_factors import ppmi_factors
from services.trainer.tower_windows import Batch, Sequences
from services.trainer.training_loop import Progress, TrainingLoop

__all__ = ["HeldOut", "Progress", "TowerData", "TowerFitConfig", "fit_tower", "held_out_ranks"]


@dataclass(frozen=True, slots=True)
class TowerFitConfig:
    """How the towers are fitted."""

    epochs: int = 3
    """Passes over all events in a first fit."""
    refit_epochs: int = 1
    """Passes when an earlier tower is the start."""
    patience: int = 2
    """Passes without a better estimate on the held-out events after which fitting stops."""
    held_out: int = 1000
    """Users whose last event is held out for that estimate."""
    batch_windows: int = 64
    """Windows of at most 201 events in one step."""
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
    bf16: bool = True
    """Whether layers compute in bfloat16 where the device multiplies it itself: half the time on such a CPU."""
    threads: int = 2
    """Threads of the fit, over all processes that share it."""


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
    """(B,) users, the row of the item that came after their sequence, and when it did."""

    users: NDArray[np.int64]
    targets: NDArray[np.int64]
    times_ms: NDArray[np.int64]


def fit_tower(
    data: TowerData,
    shape: TwoTowerConfig,
    config: TowerFitConfig,
    seed: int,
    warm_start: Callable[[TwoTower], None] | None = None,
    progress: Progress | None = None,
    *,
    compute: Compute | None = None,
    checkpoint: Path | None = None,
) -> tuple[TwoTower, dict[str, float]]:
    """The towers of the best epoch, on the CPU, and their hit rates on the held-out events.

    `warm_start` fills new towers with the weights of earlier ones; without it the item table starts from a
    factorisation of co-occurrences. `progress(done, planned)` counts steps. `compute` is the GPU where there is one.
    A fit that finds its own `checkpoint` goes on from there, on a CPU with the very weights it would have had.
    """
    compute = compute or Compute.detect()
    if config.bf16:
        compute = compute.in_bf16()
    # Without the flush AdamW's moments of rare items become denormal numbers.
    with compute.fitting(seed, config.threads, flush_denormals=True):
        random = np.random.default_rng(seed)
        kept, held = _split(data, config.held_out, random)
        towers = TwoTower(data.inputs, data.content, shape)
        if warm_start is not None:
            warm_start(towers)
        own = None if checkpoint is None else _checkpoint(checkpoint, data, shape, config, seed, towers, warm_start)
        if warm_start is None and compute.main and (own is None or own.read() is None):
            _start_from_counts(towers, kept, shape, config, seed)
        fit = TowerFit(towers, kept, held, config, compute, seed, random, warm_start is not None, progress, own)
        metrics = fit.run()
    return towers.cpu().eval(), metrics


def _checkpoint(
    path: Path,
    data: TowerData,
    shape: TwoTowerConfig,
    config: TowerFitConfig,
    seed: int,
    towers: TwoTower,
    warm_start: Callable[[TwoTower], None] | None,
) -> Checkpoint:
    inputs, content, sequences = data.inputs, data.content, data.sequences
    start = [] if warm_start is None else [fingerprint(value) for value in towers.state_dict().values()]
    about = {
        "shape": asdict(shape), "fit": asdict(config), "seed": seed, "padding": sequences.padding, "start": start,
        "profiles": inputs.to_json(), "vocabulary": list(content.vocabulary),
    }  # fmt: skip
    arrays = (inputs.item_ids, inputs.user_ids, content.tokens, content.offsets, sequences.offsets,
              sequences.items, sequences.times_ms)  # fmt: skip
    return Checkpoint(path, fingerprint("two_tower", about, *arrays, data.profiles))


class TowerFit(TrainingLoop[TwoTower, Batch]):
    """Windows of the sequences against sampled negatives that all processes draw alike."""

    def __init__(
        self,
        towers: TwoTower,
        data: TowerData,
        held: HeldOut,
        config: TowerFitConfig,
        compute: Compute,
        seed: int,
        random: np.random.Generator,
        again: bool,
        progress: Progress | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._data, self._held, self._config = data, held, config
        epochs = config.refit_epochs if again else config.epochs
        self._peak = config.refit_rate if again else config.learning_rate
        super().__init__(
            towers,
            lambda model: torch.optim.AdamW(
                model.parameters(), lr=self._peak, weight_decay=config.weight_decay, fused=True
            ),
            compute,
            seed=seed,
            random=random,
            epochs=epochs,
            patience=config.patience,
            planned=epochs * data.sequences.batch_count(config.batch_windows),
            progress=progress,
            checkpoint=checkpoint,
        )
        counts = np.bincount(data.sequences.items, minlength=data.sequences.padding) + 1.0
        share = counts**config.negative_power / (counts**config.negative_power).sum()
        self._cumulative = np.cumsum(share)
        self._log_expected = compute.tensor(np.log(share * config.negatives).astype(np.float32))

    def batches(self) -> Iterator[Batch]:
        return self._data.sequences.batches(self._config.batch_windows, self.random)

    def loss(self, call: nn.Module, batch: Batch) -> torch.Tensor:
        compute, padding = self.compute, self._data.sequences.padding
        drawn = np.searchsorted(self._cumulative, self.random.random(self._config.negatives))
        negatives = compute.tensor(np.minimum(drawn, self._cumulative.size - 1))
        mine = batch.share(compute.rank, compute.world)
        # Places are found before the copy: a mask on a GPU would make every step wait for it.
        places = np.flatnonzero(mine.targets != padding)
        targets = compute.tensor(mine.targets.reshape(-1)[places])
        with compute.autocast():
            users, items = call(
                compute.tensor(mine.history),
                compute.tensor(mine.waited),
                compute.tensor(mine.users + 1),
                compute.tensor(self._data.profiles[mine.users]),
            )
        interests = users.float().flatten(0, 1).index_select(0, compute.tensor(places))
        loss = sampled_info_nce(
            interests,
            targets,
            items.float(),
            negatives,
            self._log_expected,
            self._config.temperature,
            torch.bfloat16 if compute.bf16 else torch.float32,
        )
        if compute.world == 1:
            return loss
        # A batch of fewer windows than processes leaves some with a window that is another's.
        weight = places.size if compute.rank < batch.users.size else 0
        return loss * (compute.world * weight / int((batch.targets != padding).sum()))

    def clip(self) -> None:
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)

    def schedule(self, step: int) -> None:
        falling = 0.5 * (1.0 + math.cos(math.pi * min(step / self.planned, 1.0)))
        for group in self.optimizer.param_groups:
            group["lr"] = self._peak * min(1.0, step / self._config.warm_up) * (falling + 0.01)

    def judge(self) -> tuple[float, dict[str, float]]:
        ranks = held_out_ranks(self.model, self._data, self._held, self.compute)
        # The mean of 1 / log2(1 + rank) moves with every rank, where a hit rate of so few users would jump.
        quality = float((1.0 / np.log2(1.0 + ranks)).mean()) if ranks.size else 0.0
        return quality, {f"held_out_hr@{k}": float((ranks <= k).mean()) for k in (10, 200) if ranks.size}


def held_out_ranks(towers: TwoTower, data: TowerData, held: HeldOut, compute: Compute) -> NDArray[np.int64]:
    """(B,) rank from 1 of each held-out item among all items but those of the user's sequence. Collective."""
    towers.eval()
    sequences = data.sequences
    ranks = np.zeros(held.users.size, np.int64)
    for first in range(256 * compute.rank, held.users.size, 256 * compute.world):
        users, targets = held.users[first : first + 256], held.targets[first : first + 256]
        history, waited, lengths = sequences.newest(users, HISTORY_LENGTH, held.times_ms[first : first + 256])
        with torch.inference_mode():
            vectors, items = towers(
                compute.tensor(history),
                compute.tensor(waited),
                compute.tensor(users + 1),
                compute.tensor(data.profiles[users]),
            )
            newest = vectors[torch.arange(users.size, device=compute.device), compute.tensor(lengths)]
            scores = (newest @ items.T).amax(dim=1).cpu().numpy()
        wanted = scores[np.arange(users.size), targets]
        for row, user in enumerate(users.tolist()):
            scores[row, sequences.items[sequences.offsets[user] : sequences.offsets[user + 1]]] = -np.inf
        ranks[first : first + 256] = 1 + (scores > wanted[:, None]).sum(axis=1)
    return compute.total(ranks)


def _split(data: TowerData, count: int, random: np.random.Generator) -> tuple[TowerData, HeldOut]:
    """Holds out the last event of `count` users, and of at most every fifth, who have another one before it."""
    able = np.flatnonzero(np.diff(data.sequences.offsets) >= 2)
    users = np.sort(random.choice(able, min(count, able.size // 5), replace=False))
    sequences, targets, times_ms = data.sequences.without_last(users)
    return TowerData(data.inputs, data.content, sequences, data.profiles), HeldOut(users, targets, times_ms)


def _start_from_counts(
    towers: TwoTower, data: TowerData, shape: TwoTowerConfig, config: TowerFitConfig, seed: int
) -> None:
    sequences = data.sequences
    factors = ppmi_factors(
        sequences.offsets, sequences.items, sequences.padding, shape.width, config.start_window, seed
    )
    with torch.no_grad():
        towers.items.ids.copy_(torch.from_numpy(factors * np.float32(shape.width**-0.5)))
