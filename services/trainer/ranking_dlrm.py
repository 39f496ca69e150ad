"""The fit of a DLRM: whole queries per step, AdamW with a cosine, the best epoch on held-out queries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.dlrm import Dlrm, DlrmConfig, binary_loss, listwise_loss
from models.rows import LabelledRows, RowLayout
from services.trainer.checkpoints import Checkpoint, fingerprint
from services.trainer.compute import Compute
from services.trainer.training_loop import Progress, TrainingLoop

_LOSSES = {"listwise": listwise_loss, "binary": binary_loss}


def fit_dlrm(
    train: LabelledRows,
    held_out: LabelledRows,
    layout: RowLayout,
    config: DlrmConfig,
    seed: int,
    on_step: Progress | None = None,
    *,
    start: Mapping[str, Tensor] | None = None,
    compute: Compute | None = None,
    checkpoint: Path | None = None,
) -> Dlrm:
    """A network with the weights of its best epoch, on the CPU. `on_step(done, planned)` is told of progress.

    `start` holds the weights of an earlier network of the same layout, which then competes with the epochs.
    `compute` is the GPU where there is one. A fit that finds its own `checkpoint` goes on from there, on a CPU with
    the very weights it would have had. Raises ValueError when `start` does not fit.
    """
    compute = compute or Compute.detect()
    with compute.fitting(seed, config.threads):
        model = Dlrm(layout, config).to(compute.device)
        best = math.inf
        if start is not None:
            _take_over(model, start)
            best = held_out_loss(model, held_out, config, compute)
        own = None if checkpoint is None else _checkpoint(checkpoint, train, held_out, layout, config, seed, start)
        DlrmFit(model, train, held_out, config, compute, seed, -best, on_step, own).run()
    return model.cpu().eval()


def held_out_loss(model: Dlrm, rows: LabelledRows, config: DlrmConfig, compute: Compute | None = None) -> float:
    """The objective on all of `rows`, the network in evaluation mode; without `compute` it is on the CPU. Collective
    with it."""
    # What serves computes in float32, so that is what is judged.
    compute = replace(compute or Compute(torch.device("cpu")), bf16=False)
    model.eval()
    total, count = 0.0, 0.0
    with torch.inference_mode():
        for place, batch in enumerate(_batches(rows, 4 * config.batch_rows, None)):
            if place % compute.world == compute.rank:
                size = float(batch.query[-1]) + 1
                total += float(batch.loss(model, config.objective, compute)) * size
                count += size
    sums = compute.total(np.array([total, count]))
    return float(sums[0] / sums[1])


@dataclass(frozen=True, slots=True)
class _Rows:
    """M rows of whole queries."""

    rows: LabelledRows
    picked: NDArray[np.int64]
    """(M,) places among the rows."""
    query: NDArray[np.int64]
    """(M,) number of each row's query, from 0."""

    def loss(self, call: nn.Module, objective: str, compute: Compute) -> Tensor:
        """The objective of these rows, in float32."""
        with compute.autocast():
            scores = call(compute.tensor(self.rows.features[self.picked]))
        return _LOSSES[objective](
            scores.squeeze(1).float(),
            compute.tensor(self.rows.labels[self.picked]),
            compute.tensor(self.rows.weights[self.picked]),
            compute.tensor(self.query),
        )

    def share(self, rank: int, world: int) -> _Rows:
        """The queries of one of `world` processes; the first one where there are too few for all of them."""
        mine = self.query % world == rank
        if not mine.any():
            mine = self.query == 0
        return _Rows(self.rows, self.picked[mine], np.unique(self.query[mine], return_inverse=True)[1])

    def norm(self, objective: str) -> float:
        """What the objective's sum is divided by."""
        labels, weights = self.rows.labels[self.picked], self.rows.weights[self.picked]
        return float((labels * weights if objective == "listwise" else weights).sum())


class DlrmFit(TrainingLoop[Dlrm, _Rows]):
    """Batches of whole queries under one cycle of the rate."""

    def __init__(
        self,
        model: Dlrm,
        train: LabelledRows,
        held_out: LabelledRows,
        config: DlrmConfig,
        compute: Compute,
        seed: int,
        best: float,
        progress: Progress | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._train, self._held_out, self._config = train, held_out, config
        super().__init__(
            model,
            lambda model: torch.optim.AdamW(
                model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
            ),
            compute,
            seed=seed,
            random=np.random.default_rng(seed),
            epochs=config.epochs,
            patience=config.patience,
            planned=config.epochs * (math.ceil(len(train) / config.batch_rows) + 1),
            best=best,
            progress=progress,
            checkpoint=checkpoint,
        )
        self._cycle = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.learning_rate, total_steps=self.planned
        )

    def batches(self) -> Iterator[_Rows]:
        return _batches(self._train, self._config.batch_rows, self.random)

    def loss(self, call: nn.Module, batch: _Rows) -> Tensor:
        compute, objective = self.compute, self._config.objective
        if compute.world == 1:
            return batch.loss(call, objective, compute)
        mine = batch.share(compute.rank, compute.world)
        # A batch of fewer queries than processes leaves some with a query that is another's.
        weight = mine.norm(objective) if compute.rank <= batch.query[-1] else 0.0
        return mine.loss(call, objective, compute) * (compute.world * weight / max(batch.norm(objective), 1e-9))

    def schedule(self, step: int) -> None:
        done = min(step, self.planned) - 1
        if done > 0:
            # The rate is a closed form of the step, so a fit that goes on needs no steps made up.
            self._cycle.load_state_dict({"last_epoch": done - 1, "_step_count": done + 1})
            self._cycle.step()

    def judge(self) -> tuple[float, dict[str, float]]:
        return -held_out_loss(self.model, self._held_out, self._config, self.compute), {}


def _checkpoint(
    path: Path,
    train: LabelledRows,
    held_out: LabelledRows,
    layout: RowLayout,
    config: DlrmConfig,
    seed: int,
    start: Mapping[str, Tensor] | None,
) -> Checkpoint:
    about = {
        "config": asdict(config), "seed": seed, "numeric": list(layout.numeric_columns),
        "categorical": dict(layout.cardinalities),
        "normalizer": None if layout.normalizer is None else layout.normalizer.to_json(),
        "start": {name: fingerprint(value) for name, value in (start or {}).items()},
    }  # fmt: skip
    arrays = (
        part for rows in (train, held_out) for part in (rows.features, rows.labels, rows.weights, rows.group_sizes)
    )
    return Checkpoint(path, fingerprint("dlrm", about, *arrays))


def _take_over(model: Dlrm, start: Mapping[str, Tensor]) -> None:
    try:
        model.load_state_dict(start)
    except RuntimeError as error:
        raise ValueError(f"These weights cannot be the start of the DLRM: {error}") from error


def _batches(rows: LabelledRows, batch_rows: int, random: np.random.Generator | None) -> Iterator[_Rows]:
    """Batches of about `batch_rows` rows in whole queries; shuffled if given `random`."""
    sizes = rows.group_sizes
    starts = np.cumsum(sizes) - sizes
    order = np.arange(sizes.size) if random is None else random.permutation(sizes.size)
    ends = np.cumsum(sizes[order])
    cuts = np.searchsorted(ends, np.arange(batch_rows, ends[-1], batch_rows))
    for queries in np.split(order, np.unique(cuts)):
        if not queries.size:
            continue
        query = np.repeat(np.arange(queries.size), sizes[queries])
        first = np.cumsum(sizes[queries]) - sizes[queries]
        yield _Rows(rows, starts[queries][query] + np.arange(query.size) - first[query], query)
