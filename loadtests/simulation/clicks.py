"""How a person goes through a page: which places are looked at, what is clicked, what is liked.

A click model gives the expected clicks of pages exactly, and draws what one person does on one page. `selection` is
P(select | examined) and `satisfaction` P(satisfied | selected), both per item in the order shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Luck:
    """(K,) uniform numbers of one page, by item: what would come of it, wherever it is shown."""

    examined: Numbers
    selected: Numbers
    satisfied: Numbers


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one person did on one page."""

    clicked: Flags
    """(K,)"""
    liked: Flags
    """(K,) among the clicked."""


class ClickModel(Protocol):
    """A way to go through a page."""

    @property
    def name(self) -> str:
        """As results are filed."""
        ...

    def expected(self, selection: Numbers, satisfaction: Numbers) -> Numbers:
        """(B,) expected clicks of pages of K items; both arguments are (B, K)."""
        ...

    def react(self, selection: Numbers, satisfaction: Numbers, luck: Luck) -> Reaction:
        """What one person does on a page; the arguments are (K,)."""
        ...

    def best_page(self, selection: Numbers, satisfaction: Numbers, shown: int) -> Places:
        """(B, shown) columns of the page with most expected clicks; (B, I) of each, a selection of 0 for those gone."""
        ...


@dataclass(frozen=True)
class PositionModel:
    """Places are examined independently, place k with probability k^-eta (Craswell et al., WSDM 2008)."""

    eta: float = 1.0

    @property
    def name(self) -> str:
        """position-1 and so on."""
        return f"position-{self.eta:g}"

    def examination(self, places: int) -> Numbers:
        """(K,) P(examined) from the top down."""
        return np.asarray(np.arange(1, places + 1, dtype=np.float64) ** -self.eta)

    def expected(self, selection: Numbers, satisfaction: Numbers) -> Numbers:
        """Sum of P(examined) P(selected)."""
        return np.asarray(selection @ self.examination(selection.shape[-1]))

    def react(self, selection: Numbers, satisfaction: Numbers, luck: Luck) -> Reaction:
        """Every examined item is decided on by itself."""
        clicked = (luck.examined < self.examination(selection.size)) & (luck.selected < selection)
        return Reaction(clicked, clicked & (luck.satisfied < satisfaction))

    def best_page(self, selection: Numbers, satisfaction: Numbers, shown: int) -> Places:
        """The items most likely to be selected, in that order: the rearrangement inequality."""
        top = np.argpartition(-selection, shown - 1, axis=1)[:, :shown]
        order = np.argsort(-np.take_along_axis(selection, top, axis=1), axis=1, kind="stable")
        return np.take_along_axis(top, order, axis=1)


@dataclass(frozen=True)
class CascadeModel:
    """From the top down until a selected item satisfies: the simplified dynamic Bayesian network model (Chapelle and
    Zhang, WWW 2009).
    """

    name: str = "cascade"

    def expected(self, selection: Numbers, satisfaction: Numbers) -> Numbers:
        """Sum of P(selected) times the probability that nothing above has satisfied."""
        goes_on = np.cumprod(1.0 - selection * satisfaction, axis=-1)
        reached = np.concatenate([np.ones_like(goes_on[..., :1]), goes_on[..., :-1]], axis=-1)
        return np.asarray((reached * selection).sum(axis=-1))

    def react(self, selection: Numbers, satisfaction: Numbers, luck: Luck) -> Reaction:
        """What is below the first satisfying click is never seen."""
        selected, satisfied = luck.selected < selection, luck.satisfied < satisfaction
        stops = np.flatnonzero(selected & satisfied)
        seen = np.arange(selection.size) <= (stops[0] if stops.size else selection.size)
        return Reaction(selected & seen, selected & seen & satisfied)

    def best_page(self, selection: Numbers, satisfaction: Numbers, shown: int) -> Places:
        """The exact optimum. Swapping two neighbours shows that a page is best with the least satisfying item first,
        whatever its items; which items is then a knapsack over them in that order, solved from the last backwards.
        """
        order = np.argsort(satisfaction, axis=1, kind="stable")
        chosen = np.take_along_axis(selection, order, axis=1)
        goes_on = 1.0 - chosen * np.take_along_axis(satisfaction, order, axis=1)
        people, items = selection.shape
        value = np.full((people, shown + 1), -np.inf)
        value[:, 0] = 0.0
        taken = np.zeros((items, people, shown), np.bool_)
        for place in range(items - 1, -1, -1):
            with_it = chosen[:, place, None] + goes_on[:, place, None] * value[:, :-1]
            taken[place] = with_it > value[:, 1:]
            value[:, 1:] = np.where(taken[place], with_it, value[:, 1:])
        return np.take_along_axis(order, _traced(taken), axis=1)


def _traced(taken: NDArray[np.bool_]) -> Places:
    """(B, K) places of the chosen items, from the (I, B, K) decisions for 1 to K places that were left."""
    items, people, shown = taken.shape
    left, pages = np.full(people, shown), np.zeros((people, shown), np.intp)
    for place in range(items):
        here = np.flatnonzero(left)
        here = here[taken[place, here, left[here] - 1]]
        pages[here, shown - left[here]] = place
        left[here] -= 1
    return pages


def click_model(name: str) -> ClickModel:
    """position (eta 1), position-ETA or cascade; ValueError for another name."""
    if name == "cascade":
        return CascadeModel()
    kind, _, eta = name.partition("-")
    if kind == "position":
        return PositionModel(float(eta or 1))
    raise ValueError(f"There is no click model {name!r}; choose position, position-0.5, position-2 or cascade.")
