"""Hyper-parameters that every network fitted on lists has in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListFitConfig:
    """How a network is fitted on queries; what is fitted, its own configuration says."""

    objective: str = "listwise"
    """listwise: softmax cross-entropy over each query's list; binary: log-loss of label > 0."""
    epochs: int = 10
    """At most; early stopping may need fewer."""
    batch_rows: int = 8192
    """Rows of an optimiser step, rounded to whole queries."""
    learning_rate: float = 0.003
    """Peak rate of AdamW; it falls to zero along a cosine."""
    weight_decay: float = 0.01
    """Decoupled decay of all weights."""
    patience: int = 2
    """Epochs without a better held-out loss before fitting stops."""
    threads: int = 1
    """Threads of the fit. Two gain little at this size, and on a busy machine they wait for each other."""
