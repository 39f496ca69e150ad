"""The fit of a network with one logit per head, unknown labels left out, the best epoch on held-out rows is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.losses import heads_loss, known_weight
from models.rows import HeadRows
from services.trainer.checkpoints import Checkpoint, fingerprint
from services.trainer.compute import Compute
from services.trainer.training_loop import Progress, TrainingLoop

_ROWS_AT_ONCE = 32_768


@dataclass(frozen=True, slots=True)
class HeadsFitConfig:
    """Hyper-parameters of the fit."""

    epochs: int = 4
    """At most; early stopping may need fewer."""
    batch_rows: int = 4096
    """Rows of an optimiser step."""
    learning_rate: float = 0.003
    """Peak rate of AdamW; it falls to zero along a cosine."""
    weight_decay: float = 0.01
    """Decoupled decay of all weights."""
    patience: int = 2
    """Epochs without a better held-out loss before fitting stops."""
    threads: int = 1
    """Threads of the fit."""


def fit_heads(
    build: Callable[[], nn.Module],
    train: HeadRows,
    held_out: HeadRows,
    config: HeadsFitConfig,
    seed: int,
    on_step: Progress | None = None,
    *,
    compute: Compute | None = None,
    checkpoint: Path | None = None,
) -> nn.Module:
    """What `build` makes, with the weights of its best epoch, on the CPU: rows (N, F) in, logits (N, H) out.

    The network's first weights follow from `seed`. A fit that finds its own `checkpoint` goes on from there.
    """
    compute = compute or Compute.detect()
    with compute.fitting(seed, config.threads):
        network = build().to(compute.device)
        own = None
        if checkpoint is not None:
            arrays = [part for rows in (train, held_out) for part in (rows.features, rows.labels, rows.weights)]
            about = {"config": asdict(config), "seed": seed, "shape": str(network)}
            own = Checkpoint(checkpoint, fingerprint("heads", about, *arrays))
        HeadsFit(network, train, held_out, config, compute, seed, on_step, own).run()
    return network.cpu().eval()


def logits_of(network: nn.Module, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, H) logits of (N, F) rows by a network on the CPU."""
    network.eval()
    with torch.inference_mode():
        parts = [network(part) for part in torch.split(torch.from_numpy(features), _ROWS_AT_ONCE)]
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits


class HeadsFit(TrainingLoop[nn.Module, NDArray[np.int64]]):
    """Shuffled batches of rows under one cycle of the rate."""

    def __init__(
        self,
        network: nn.Module,
        train: HeadRows,
        held_out: HeadRows,
        config: HeadsFitConfig,
        compute: Compute,
        seed: int,
        progress: Progress | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._train, self._held_out, self._config = train, held_out, config
        super().__init__(
            network,
            lambda model: torch.optim.AdamW(
                model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
            ),
            compute,
            seed=seed,
            random=np.random.default_rng(seed),
            epochs=config.epochs,
            patience=config.patience,
            planned=config.epochs * math.ceil(len(train) / config.batch_rows),
            progress=progress,
            checkpoint=checkpoint,
        )
        self._cycle = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.learning_rate, total_steps=self.planned + 1
        )

    def batches(self) -> Iterator[NDArray[np.int64]]:
        order = self.random.permutation(len(self._train))
        size = self._config.batch_rows
        for start in range(0, order.size, size):
            yield order[start : start + size]

    def loss(self, call: nn.Module, batch: NDArray[np.int64]) -> Tensor:
        compute, rows = self.compute, self._train
        norm = known_weight(torch.from_numpy(rows.labels[batch]), torch.from_numpy(rows.weights[batch]))
        return self._share(call, rows, batch[compute.rank :: compute.world], norm, compute) * compute.world

    def schedule(self, step: int) -> None:
        done = min(step, self.planned) - 1
        if done > 0:
            # The rate is a closed form of the step, so a fit that goes on needs no steps made up.
            self._cycle.load_state_dict({"last_epoch": done - 1, "_step_count": done + 1})
            self._cycle.step()

    def judge(self) -> tuple[float, dict[str, float]]:
        # What serves computes in float32, so that is what is judged.
        compute, rows, total = replace(self.compute, bf16=False), self._held_out, 0.0
        self.model.eval()
        norm = known_weight(torch.from_numpy(rows.labels), torch.from_numpy(rows.weights))
        with torch.inference_mode():
            for place, start in enumerate(range(0, len(rows), _ROWS_AT_ONCE)):
                if place % compute.world == compute.rank:
                    picked = np.arange(start, min(start + _ROWS_AT_ONCE, len(rows)))
                    total += float(self._share(self.model, rows, picked, norm, compute))
        return -float(compute.total(np.array([total]))[0]), {}

    @staticmethod
    def _share(call: nn.Module, rows: HeadRows, picked: NDArray[np.int64], norm: Tensor, compute: Compute) -> Tensor:
        with compute.autocast():
            logits = call(compute.tensor(rows.features[picked]))
        labels, weights = compute.tensor(rows.labels[picked]), compute.tensor(rows.weights[picked])
        return heads_loss(logits.float(), labels, weights, norm.to(compute.device))
