"""The users of one cell between two pages: what they were shown, what they would do next, and the account of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtests.simulation.clicks import ClickModel, Luck, Reaction
from loadtests.simulation.draws import EXAMINED, SATISFIED, SELECTED, uniform
from loadtests.simulation.recording import Page, Round
from loadtests.simulation.settings import SHOWN
from loadtests.simulation.world import Numbers, World


@dataclass(frozen=True, slots=True)
class Answer:
    """What the stack said beyond the items."""

    served_by: str = "fresh"
    degraded: tuple[str, ...] = ()
    explored: int = 0


FRESH = Answer()


class People:
    """B users of a world; call begin, show for every user, finished: once a round."""

    def __init__(self, world: World, rows: NDArray[np.int64], model: ClickModel, seed: int, drift: float = 0.0) -> None:
        """`rows` are the users' rows in the world; `seed` decides what they do."""
        self.world, self.rows, self.model, self.seed = world, rows, model, seed
        self.free = world.pool(rows)
        """(B, I) items that may still be shown for the first time."""
        self.satisfaction: Numbers = world.satisfied(rows)
        self.selection: Numbers = np.zeros_like(self.satisfaction)
        self.shown: list[list[int]] = [[] for _ in range(rows.size)]
        """Item ids by user, oldest first."""
        self._turn, self._drift = 0, drift
        self._genres = world.genres.astype(np.float32)
        known = np.bincount(world.seen_items, minlength=world.item_ids.size)
        self._surprise = -np.log2((known + 1) / (known + 1).sum())
        self._pages: dict[int, Page] = {}
        self._columns: dict[int, NDArray[np.intp]] = {}
        self._possible: Numbers = np.empty(0)

    def begin(self, turn: int) -> None:
        """The round's taste, and what would be possible with it."""
        if turn == 1 or self._drift:
            self.selection = self.world.selected(self.rows, turn, self._drift)
        self._turn = turn
        free = self.free_selection()
        best = self.model.best_page(free, self.satisfaction, SHOWN)
        self._possible = self.model.expected(
            np.take_along_axis(free, best, axis=1), np.take_along_axis(self.satisfaction, best, axis=1)
        )
        self._pages.clear()
        self._columns.clear()

    def free_selection(self) -> Numbers:
        """(B, I) P(select | examined), 0 for what may not be shown any more."""
        return np.where(self.free, self.selection, 0.0)

    def show(self, row: int, items: Sequence[int], answer: Answer = FRESH) -> Reaction:
        """A page of item ids, from the top; what the user does with it. Items the world does not know are not clicked.

        An empty page is a failure to answer, and counts as no click.
        """
        ids = np.array(items, np.uint64)
        places = np.minimum(np.searchsorted(self.world.item_ids, ids), self.world.item_ids.size - 1)
        new = (self.world.item_ids[places] == ids) & self.free[row, places]
        new[new] = _first(places[new])
        selection = np.where(new, self.selection[row, places], 0.0)
        satisfaction = self.satisfaction[row, places]
        reaction = self.model.react(selection, satisfaction, self._luck(row, ids))
        self._pages[row] = Page(
            user=int(self.rows[row]),
            expected=float(self.model.expected(selection[None], satisfaction[None])[0]) if ids.size else 0.0,
            possible=float(self._possible[row]),
            clicks=int(reaction.clicked.sum()), likes=int(reaction.liked.sum()),
            served_by=answer.served_by if ids.size else "failed",
            degraded=answer.degraded, explored=answer.explored, repeated=int((~new).sum()),
        )  # fmt: skip
        self._columns[row] = places[new]
        self.free[row, places[new]] = False
        self.shown[row] += ids.tolist()
        return reaction

    def finished(self, turn: int) -> Round:
        """The account of the round. ValueError when somebody was shown no page."""
        if len(self._pages) != self.rows.size:
            raise ValueError(f"Round {turn} showed {len(self._pages)} of {self.rows.size} users a page.")
        pages = [self._columns[row] for row in sorted(self._columns)]
        everything = np.concatenate(pages)
        return Round(
            turn,
            tuple(self._pages[row] for row in sorted(self._pages)),
            coverage=np.unique(everything).size / self.world.item_ids.size,
            diversity=float(np.mean([self._difference(page) for page in pages])),
            novelty=float(self._surprise[everything].mean()) if everything.size else 0.0,
        )

    def _luck(self, row: int, ids: NDArray[np.uint64]) -> Luck:
        user = int(self.world.user_ids[self.rows[row]])
        examined, selected, satisfied = (
            uniform(purpose, self.seed, user, self._turn, ids) for purpose in (EXAMINED, SELECTED, SATISFIED)
        )
        return Luck(examined, selected, satisfied)

    def _difference(self, page: NDArray[np.intp]) -> float:
        """1 - mean Jaccard similarity over the pairs of a page; 0 for a page without pairs."""
        if page.size < 2:
            return 0.0
        flags = self._genres[page]
        both = flags @ flags.T
        either = flags.sum(axis=1)[:, None] + flags.sum(axis=1)[None] - both
        above = np.triu_indices(page.size, 1)
        return float(1.0 - (both[above] / np.maximum(either[above], 1.0)).mean())


def _first(places: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(N,) whether nothing before is the same."""
    first = np.zeros(places.size, np.bool_)
    first[np.unique(places, return_index=True)[1]] = True
    return first
