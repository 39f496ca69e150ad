"""How a challenger learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Position = Literal["none", "feature", "weights"]
"""What is done about the place an item was shown at.

none: nothing. feature: the place explains its part of the clicks, and is left out where items are scored. weights: a
click counts by how seldom its place is looked at (inverse propensity).
"""


@dataclass(frozen=True, slots=True)
class LearnConfig:
    """Hyper-parameters of one continuous fit."""

    position: Position = "feature"
    clip: float = 10.0
    """Most that an inverse propensity may weigh."""
    trees: int = 80
    """New trees at most; early stopping may keep fewer, or none."""
    max_trees: int = 400
    """Above, the trees of earlier continuous fits are dropped and learned anew: serving time grows with trees."""
    leaves: int = 8
    """Per new tree. Few: a thousand clicks do not tell more apart."""
    min_rows_in_leaf: int = 100
    """Fewest rows a leaf of a new tree may stand on."""
    tree_rate: float = 0.05
    """Shrinkage of a new tree."""
    patience: int = 10
    """Trees without a better validation result before the fit stops."""
    epochs: int = 20
    """Of a network, at most."""
    network_rate: float = 2e-3
    """Peak learning rate of a network."""
    batch_rows: int = 256
    """Rows of a network's optimiser step."""
    threads: int = 1
    """Threads of the fit."""
