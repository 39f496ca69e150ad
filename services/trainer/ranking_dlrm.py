"""The fit of a DLRM: whole queries per step, AdamW with a cosine, the best epoch on held-out queries."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from models.dlrm import Dlrm, DlrmConfig, binary_loss, listwise_loss
from models.rows import LabelledRows, RowLayout

_LOSSES = {"listwise": listwise_loss, "binary": binary_loss}


def fit_dlrm(
    train: LabelledRows,
    held_out: LabelledRows,
    layout: RowLayout,
    config: DlrmConfig,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> Dlrm:
    """A network with the weights of its best epoch. `on_step(done, planned)` is told of progress."""
    with torch.random.fork_rng(devices=[]), _threads(config.threads):
        torch.manual_seed(seed)
        model = Dlrm(layout, config)
        _fit(model, train, held_out, config, np.random.default_rng(seed), on_step)
    return model.eval()


def _fit(
    model: Dlrm,
    train: LabelledRows,
    held_out: LabelledRows,
    config: DlrmConfig,
    random: np.random.Generator,
    on_step: Callable[[int, int], None] | None,
) -> None:
    per_epoch = math.ceil(len(train) / config.batch_rows)
    planned = config.epochs * (per_epoch + 1)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=planned)
    loss_of = _LOSSES[config.objective]
    best, best_weights, stale, done = math.inf, model.state_dict(), 0, 0
    for _ in range(config.epochs):
        model.train()
        for features, labels, weights, query in _batches(train, config.batch_rows, random):
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss_of(model(features).squeeze(1), labels, weights, query))
            optimizer.step()
            if done + 1 < planned:
                schedule.step()
                done += 1
            if on_step is not None:
                on_step(done, planned)
        loss = held_out_loss(model, held_out, config)
        if loss < best:
            best, stale = loss, 0
            best_weights = {name: value.clone() for name, value in model.state_dict().items()}
        else:
            stale += 1
        if stale >= config.patience:
            break
    model.load_state_dict(best_weights)


def held_out_loss(model: Dlrm, rows: LabelledRows, config: DlrmConfig) -> float:
    """The objective on all of `rows`, the network in evaluation mode."""
    model.eval()
    total, count = 0.0, 0.0
    with torch.inference_mode():
        for features, labels, weights, query in _batches(rows, 4 * config.batch_rows, None):
            size = float(query[-1]) + 1
            total += float(_LOSSES[config.objective](model(features).squeeze(1), labels, weights, query)) * size
            count += size
    return total / count


def _batches(
    rows: LabelledRows, batch_rows: int, random: np.random.Generator | None
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """(features, labels, weights, query) of about `batch_rows` rows in whole queries; shuffled if given `random`."""
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
        picked = starts[queries][query] + np.arange(query.size) - first[query]
        yield (
            torch.from_numpy(rows.features[picked]),
            torch.from_numpy(rows.labels[picked]),
            torch.from_numpy(rows.weights[picked]),
            torch.from_numpy(query),
        )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
