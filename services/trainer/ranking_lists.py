"""The fit of a network on lists: whole queries per step, AdamW with a cosine, the best epoch on held-out queries.

The first head says which candidate comes next; further heads, where the shape has some, learn the reactions that are
known of the rows, all in one sum of means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.dlrm import binary_loss, listwise_loss
from models.list_fit import ListFitConfig
from models.losses import heads_loss, known_weight
from models.mmoe import MmoeConfig
from models.networks import Network, Shape, build, kind_of
from models.rows import REACTIONS, LabelledRows, RowLayout
from services.trainer.checkpoints import Checkpoint, fingerprint
from services.trainer.compute import Compute
from services.trainer.training_loop import Progress, TrainingLoop

_LOSSES = {"listwise": listwise_loss, "binary": binary_loss}
_NO_HEADS: NDArray[np.int64] = np.empty(0, np.int64)


def fit_lists(
    train: LabelledRows,
    held_out: LabelledRows,
    layout: RowLayout,
    shape: Shape,
    config: ListFitConfig,
    seed: int,
    on_step: Progress | None = None,
    *,
    start: Mapping[str, Tensor] | None = None,
    compute: Compute | None = None,
    checkpoint: Path | None = None,
) -> Network:
    """A network with the weights of its best epoch, on the CPU. `on_step(done, planned)` is told of progress.

    `start` holds the weights of an earlier network of the same layout, which then competes with the epochs.
    `compute` is the GPU where there is one. A fit that finds its own `checkpoint` goes on from there, on a CPU with the
    very weights it would have had. Raises ValueError when `start` does not fit.
    """
    compute = compute or Compute.detect()
    with compute.fitting(seed, config.threads):
        model = build(layout, shape).to(compute.device)
        best, reactions = math.inf, reaction_columns(shape, train)
        if start is not None:
            _take_over(model, start, kind_of(shape))
            best = held_out_loss(model, held_out, config, compute, reactions)
        own = (
            None if checkpoint is None else _checkpoint(checkpoint, train, held_out, layout, shape, config, seed, start)
        )
        ListFit(model, train, held_out, config, compute, seed, -best, on_step, own, reactions).run()
    return model.cpu().eval()


def reaction_columns(shape: Shape, rows: LabelledRows) -> NDArray[np.int64]:
    """Columns of the rows' reactions in the order of the heads behind the click; none where nothing is known."""
    if not isinstance(shape, MmoeConfig) or rows.reactions is None:
        return _NO_HEADS
    return np.array([REACTIONS.index(head) for head in shape.heads[1:]], np.int64)


def held_out_loss(
    model: nn.Module,
    rows: LabelledRows,
    config: ListFitConfig,
    compute: Compute | None = None,
    reactions: NDArray[np.int64] = _NO_HEADS,
) -> float:
    """The objective on all of `rows`, the network in evaluation mode; without `compute` it is on the CPU. Collective
    with it."""
    # What serves computes in float32, so that is what is judged.
    compute = replace(compute or Compute(torch.device("cpu")), bf16=False)
    model.eval()
    sums, whole = np.zeros(3), _known(rows, reactions)
    with torch.inference_mode():
        for place, batch in enumerate(_batches(rows, 4 * config.batch_rows, None, reactions)):
            if place % compute.world == compute.rank:
                queries = float(batch.query[-1]) + 1
                click, others = batch.losses(model, config.objective, compute, whole)
                sums += np.array([float(click) * queries, queries, float(others)])
    sums = compute.total(sums)
    return float(sums[0] / sums[1] + sums[2])


@dataclass(frozen=True, slots=True)
class _Rows:
    """M rows of whole queries."""

    rows: LabelledRows
    picked: NDArray[np.int64]
    """(M,) places among the rows."""
    query: NDArray[np.int64]
    """(M,) number of each row's query, from 0."""
    reactions: NDArray[np.int64]
    """(H - 1,) columns of the rows' reactions that the further heads learn."""

    def losses(self, call: nn.Module, objective: str, compute: Compute, whole: Tensor) -> tuple[Tensor, Tensor]:
        """The objective of these rows, and the log-losses of the further heads divided by `whole`, in float32."""
        with compute.autocast():
            logits = call(compute.tensor(self.rows.features[self.picked]))
        weights = compute.tensor(self.rows.weights[self.picked])
        click = _LOSSES[objective](
            logits[:, 0].float(), compute.tensor(self.rows.labels[self.picked]), weights, compute.tensor(self.query)
        )
        if not self.reactions.size:
            return click, click.new_zeros(())
        labels = compute.tensor(_reactions(self.rows, self.picked, self.reactions))
        return click, heads_loss(logits[:, 1:].float(), labels, weights, whole.to(compute.device))

    def share(self, rank: int, world: int) -> _Rows:
        """The queries of one of `world` processes; the first one where there are too few for all of them."""
        if world == 1:
            return self
        mine = self.query % world == rank
        if not mine.any():
            mine = self.query == 0
        query = np.unique(self.query[mine], return_inverse=True)[1]
        return replace(self, picked=self.picked[mine], query=query)

    def norm(self, objective: str) -> float:
        """What the objective's sum is divided by."""
        labels, weights = self.rows.labels[self.picked], self.rows.weights[self.picked]
        return float((labels * weights if objective == "listwise" else weights).sum())


class ListFit(TrainingLoop[nn.Module, _Rows]):
    """Batches of whole queries under one cycle of the rate."""

    def __init__(
        self,
        model: nn.Module,
        train: LabelledRows,
        held_out: LabelledRows,
        config: ListFitConfig,
        compute: Compute,
        seed: int,
        best: float,
        progress: Progress | None,
        checkpoint: Checkpoint | None,
        reactions: NDArray[np.int64] = _NO_HEADS,
    ) -> None:
        self._train, self._held_out, self._config, self._reactions = train, held_out, config, reactions
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
        return _batches(self._train, self._config.batch_rows, self.random, self._reactions)

    def loss(self, call: nn.Module, batch: _Rows) -> Tensor:
        compute, objective = self.compute, self._config.objective
        mine = batch.share(compute.rank, compute.world)
        click, others = mine.losses(call, objective, compute, _known(batch.rows, self._reactions, batch.picked))
        share = mine.norm(objective) / max(batch.norm(objective), 1e-9)
        # A batch of fewer queries than processes leaves some with a query that is another's.
        counted = compute.world if compute.rank <= batch.query[-1] else 0
        return (click * share + others) * counted

    def schedule(self, step: int) -> None:
        done = min(step, self.planned) - 1
        if done > 0:
            # The rate is a closed form of the step, so a fit that goes on needs no steps made up.
            self._cycle.load_state_dict({"last_epoch": done - 1, "_step_count": done + 1})
            self._cycle.step()

    def judge(self) -> tuple[float, dict[str, float]]:
        return -held_out_loss(self.model, self._held_out, self._config, self.compute, self._reactions), {}


def _checkpoint(
    path: Path,
    train: LabelledRows,
    held_out: LabelledRows,
    layout: RowLayout,
    shape: Shape,
    config: ListFitConfig,
    seed: int,
    start: Mapping[str, Tensor] | None,
) -> Checkpoint:
    about = {
        "shape": asdict(shape), "config": asdict(config), "seed": seed, "numeric": list(layout.numeric_columns),
        "categorical": dict(layout.cardinalities),
        "normalizer": None if layout.normalizer is None else layout.normalizer.to_json(),
        "start": {name: fingerprint(value) for name, value in (start or {}).items()},
    }  # fmt: skip
    arrays = (
        part
        for rows in (train, held_out)
        for part in (rows.features, rows.labels, rows.weights, rows.group_sizes, rows.reactions)
        if part is not None
    )
    return Checkpoint(path, fingerprint(kind_of(shape), about, *arrays))


def _take_over(model: nn.Module, start: Mapping[str, Tensor], kind: str) -> None:
    try:
        model.load_state_dict(start)
    except RuntimeError as error:
        raise ValueError(f"These weights cannot be the start of this {kind}: {error}") from error


def _reactions(
    rows: LabelledRows, picked: NDArray[np.int64] | slice, columns: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(M, H - 1) labels of the further heads."""
    if rows.reactions is None or not columns.size:
        return np.empty((rows.labels[picked].size, 0), np.float32)
    labels: NDArray[np.float32] = np.ascontiguousarray(rows.reactions[picked][:, columns])
    return labels


def _known(rows: LabelledRows, columns: NDArray[np.int64], picked: NDArray[np.int64] | slice = slice(None)) -> Tensor:
    """(H - 1,) weight of the rows whose reaction is known."""
    labels = torch.from_numpy(_reactions(rows, picked, columns))
    return known_weight(labels, torch.from_numpy(rows.weights[picked]))


def _batches(
    rows: LabelledRows, batch_rows: int, random: np.random.Generator | None, reactions: NDArray[np.int64]
) -> Iterator[_Rows]:
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
        yield _Rows(rows, starts[queries][query] + np.arange(query.size) - first[query], query, reactions)
