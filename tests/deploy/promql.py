"""The names in a PromQL expression: enough of its grammar to tell metrics and labels from everything else."""

from __future__ import annotations

import re
from typing import NamedTuple

_FUNCTIONS = {"rate", "increase", "delta", "histogram_quantile", "time", "vector"}
_AGGREGATIONS = {"sum", "avg", "min", "max", "count"}
_OPERATORS = {"or", "and", "unless", "on", "ignoring", "by", "without", "group_left", "group_right", "bool"}
_WORDS = frozenset(_FUNCTIONS | _AGGREGATIONS | _OPERATORS)
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NAME = re.compile(r"[a-zA-Z_:][\w:]*")


class Names(NamedTuple):
    """What an expression mentions."""

    metrics: frozenset[str]
    labels: frozenset[str]
    """Of groupings: at least one of the metrics must have them."""
    matched: frozenset[tuple[str, str]]
    """(metric, label) of its selectors."""


def names_in(expression: str) -> Names:
    """Metrics and labels of an expression; strings, durations, functions and keywords are none."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    matched = {(metric, label) for metric, inner in _SELECTOR.findall(bare) for label in _MATCHER.findall(inner)}
    labels = {label for inner in _GROUPING.findall(bare) for label in _NAME.findall(inner)}
    rest = re.sub(r"\[[^]]*\]", " ", _GROUPING.sub(" ", re.sub(r"\{[^}]*\}", " ", bare)))
    return Names(frozenset(_NAME.findall(rest)) - _WORDS, frozenset(labels), frozenset(matched))
