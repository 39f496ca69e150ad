"""The one training loop: epochs with early stopping, on a CPU, a GPU or several processes, and able to go on later."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from services.trainer.checkpoints import (
    Checkpoint,
    optimizer_groups,
    optimizer_tensors,
    random_tensors,
    restore_optimizer,
    restore_random,
)
from services.trainer.compute import Compute

Progress = Callable[[int, int], None]
"""Called with (steps done, steps planned)."""
Model = TypeVar("Model", bound=nn.Module)
Batch = TypeVar("Batch")

PROGRESS_LINE = "progress "
"""Begins the lines in which another process tells of it."""

SAVE_EVERY_S = 30.0
"""A checkpoint is written after every epoch, and within one when the last is this old."""


@dataclass(slots=True)
class Position:
    """How far a fit is, as JSON values."""

    epoch: int = 0
    """Finished ones."""
    batches: int = 0
    """Of the epoch at hand, done."""
    step: int = 0
    """Done since the start."""
    best: float = -math.inf
    waited: int = 0
    """Epochs since the best one."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the best epoch."""
    over: bool = False


class TrainingLoop(ABC, Generic[Model, Batch]):
    """A fit; what is fitted, on what, and how good it is, a subclass says.

    Every process calls the same methods in the same order: batches and judge are collective.
    """

    def __init__(
        self,
        model: Model,
        optimizer: Callable[[Model], Optimizer],
        compute: Compute,
        *,
        seed: int,
        random: np.random.Generator,
        epochs: int,
        patience: int,
        planned: int,
        best: float = -math.inf,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        """`best` is the quality of the weights that the fit starts from, where they are to compete."""
        self.model, self.compute, self.random, self.planned = model, compute, random, max(planned, 1)
        self._seed, self._epochs, self._patience = seed, epochs, patience
        self._progress, self._checkpoint, self._saved_at = progress, checkpoint, time.monotonic()
        self._position = Position(best=best, over=epochs <= 0)
        self._epoch_random = random.bit_generator.state
        self._names = [name for name, _ in model.named_parameters()]
        # Moved before the optimiser takes hold of the parameters.
        model.to(compute.device)
        self.optimizer = optimizer(model)
        self._best = self._weights()

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """One epoch, the same in every process, shuffled by `self.random` before the first batch comes."""

    @abstractmethod
    def loss(self, call: nn.Module, batch: Batch) -> Tensor:
        """Of this process's share of the batch, scaled so that the mean over processes is that of the batch."""

    @abstractmethod
    def judge(self) -> tuple[float, dict[str, float]]:
        """The quality of the weights, higher is better, and the metrics to tell; the same in every process."""

    @abstractmethod
    def schedule(self, step: int) -> None:
        """Sets the optimiser's rate for a step, numbered from 1."""

    def clip(self) -> None:
        """Bounds the gradients before a step; by default it does not."""

    def run(self) -> dict[str, float]:
        """Fits until the epochs or the patience run out; leaves the model with its best weights, tells its metrics."""
        self._resume()
        call, at = self.compute.wrap(self.model), self._position
        self.compute.part(self._seed, at.step)
        while not at.over:
            self._epoch(call)
            quality, metrics = self.judge()
            at.epoch, at.batches = at.epoch + 1, 0
            at.waited = 0 if quality > at.best else at.waited + 1
            if at.waited == 0:
                at.best, at.metrics, self._best = quality, metrics, self._weights()
            at.over = at.epoch >= self._epochs or at.waited >= self._patience
            self._epoch_random = self.random.bit_generator.state
            self._save()
        if math.isfinite(at.best):
            self.model.load_state_dict(self._best)
        return at.metrics

    def _epoch(self, call: nn.Module) -> None:
        self.model.train()
        at = self._position
        for batch in self._remaining():
            self.schedule(at.step + 1)
            loss = self.loss(call, batch)
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            self.clip()
            self.optimizer.step()
            at.step, at.batches = at.step + 1, at.batches + 1
            if time.monotonic() - self._saved_at > SAVE_EVERY_S:
                self._save()
            if self._progress is not None and self.compute.main:
                self._progress(min(at.step, self.planned), self.planned)

    def _remaining(self) -> Iterator[Batch]:
        """The batches of the epoch at hand that are not done: its shuffle is drawn anew, then the fit's draws go on."""
        batches = self.batches()
        if self._position.batches:
            now = self.random.bit_generator.state
            self.random.bit_generator.state = self._epoch_random
            for _ in islice(batches, self._position.batches):
                pass
            self.random.bit_generator.state = now
        return batches

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if self._checkpoint is None or not self.compute.main:
            return
        parts = {
            "model": self.model.state_dict(),
            "best": self._best,
            "optimizer": optimizer_tensors(self.optimizer, self._names),
            "random": random_tensors(self.compute.device),
        }
        state = {
            "position": asdict(self._position),
            "groups": optimizer_groups(self.optimizer),
            "random": self.random.bit_generator.state,
            "epoch_random": self._epoch_random,
        }
        self._checkpoint.write(
            {f"{part}:{name}": v for part, named in parts.items() for name, v in named.items()}, state
        )

    def _resume(self) -> None:
        saved = None if self._checkpoint is None else self._checkpoint.read()
        if saved is None:
            return
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "random": {}}
        for key, value in saved.tensors.items():
            part, _, name = key.partition(":")
            parts[part][name] = value
        state: dict[str, Any] = saved.state
        self.model.load_state_dict(parts["model"])
        self._best = parts["best"]
        restore_optimizer(self.optimizer, self._names, parts["optimizer"], state["groups"])
        restore_random(self.compute.device, parts["random"])
        self._position = Position(**state["position"])
        self.random.bit_generator.state, self._epoch_random = state["random"], state["epoch_random"]
