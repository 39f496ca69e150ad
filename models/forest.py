"""Forests of LightGBM, taken apart and put together: scores rescaled, trees left out, trees of two fits in one.

LightGBM continues a fit only from raw scores. Clicks need those on another scale first, and with an effect of the place
that is no part of the model; so the new trees are fitted on offsets, and joined to the old ones here, in its text form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import lightgbm

_TREE = re.compile(r"^Tree=\d+\n(.*?)\n\n\n?(?=^Tree=|^end of trees)", re.MULTILINE | re.DOTALL)
_VALUES = ("leaf_value", "internal_value")


def first_trees(forest: lightgbm.Booster, count: int) -> lightgbm.Booster:
    """The forest of the first `count` trees, at least one."""
    return _forest(forest, _trees(forest)[: max(count, 1)])


def rescaled(forest: lightgbm.Booster, slope: float, intercept: float) -> lightgbm.Booster:
    """A forest whose raw scores are slope * score + intercept."""
    first, *others = _trees(forest)
    return _forest(forest, [_moved(first, slope, intercept), *(_moved(tree, slope, 0.0) for tree in others)])


def joined(first: lightgbm.Booster, second: lightgbm.Booster) -> lightgbm.Booster:
    """A forest whose raw scores are the sums of both; ValueError when they do not look at the same columns."""
    if first.num_feature() != second.num_feature():
        raise ValueError(f"Forests of {first.num_feature()} and {second.num_feature()} columns cannot be joined.")
    return _forest(second, [*_trees(first), *_trees(second)])


def _trees(forest: lightgbm.Booster) -> list[str]:
    return _TREE.findall(forest.model_to_string())


def _forest(like: lightgbm.Booster, trees: Sequence[str]) -> lightgbm.Booster:
    """A booster of the given trees with the head of another."""
    head = like.model_to_string(num_iteration=1).partition("\nTree=")[0]
    # Sizes of the trees only help to read them in parallel; without the line they are read one by one.
    lines = [line for line in head.splitlines() if not line.startswith("tree_sizes=")]
    body = "".join(f"Tree={number}\n{tree}\n\n\n" for number, tree in enumerate(trees))
    return lightgbm.Booster(
        model_str="\n".join(lines) + "\n\n" + body + "end of trees\n\nparameters:\nend of parameters\n"
    )


def _moved(tree: str, slope: float, intercept: float) -> str:
    return "\n".join(_moved_line(line, slope, intercept) for line in tree.splitlines())


def _moved_line(line: str, slope: float, intercept: float) -> str:
    name, _, values = line.partition("=")
    if name not in _VALUES or not values:
        return line
    return f"{name}=" + " ".join(repr(float(value) * slope + intercept) for value in values.split())
