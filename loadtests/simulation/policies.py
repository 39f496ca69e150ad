"""Policies without the stack, as a scale for its arms: they know what the system knows at the start, and never learn.

Only the oracle knows the people; it takes the best page of each round, whatever that leaves for the next.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadtests.simulation.clicks import ClickModel, Places
from loadtests.simulation.draws import uniform
from loadtests.simulation.people import People
from loadtests.simulation.recording import Round
from loadtests.simulation.settings import SHOWN, Simulation
from services.trainer.data.interactions import Interactions
from services.trainer.peers import EasePeer

SHUFFLED = 9
"""Purpose of the random policy's numbers."""
Scores = NDArray[np.float64]


def play(policy: str, plan: Simulation, people: People) -> list[Round]:
    """All rounds of a reference policy."""
    choose = _oracle(people.model) if policy == "oracle" else _by_score(_scores(policy, plan, people))
    rounds = []
    for turn in range(1, plan.rounds + 1):
        people.begin(turn)
        for row, page in enumerate(choose(people)):
            people.show(row, people.world.item_ids[page].tolist())
        rounds.append(people.finished(turn))
    return rounds


def _oracle(model: ClickModel) -> Callable[[People], Places]:
    return lambda people: model.best_page(people.free_selection(), people.satisfaction, SHOWN)


def _by_score(scores: Scores) -> Callable[[People], Places]:
    return lambda people: np.argsort(-np.where(people.free, scores, -np.inf), axis=1, kind="stable")[:, :SHOWN]


def _scores(policy: str, plan: Simulation, people: People) -> Scores:
    """(B, I) what a policy sorts by; ValueError for an unknown one."""
    world = people.world
    if policy == "random":
        ids = world.user_ids[people.rows].tolist()
        return np.stack([uniform(SHUFFLED, people.seed, user, 0, world.item_ids) for user in ids])
    if policy == "popularity":
        known = np.bincount(world.seen_items, minlength=world.item_ids.size).astype(np.float64)
        return np.tile(known, (people.rows.size, 1))
    if policy == "ease":
        return _ease(plan.base / "lake", world.user_ids[people.rows], world.item_ids)
    raise ValueError(f"There is no reference policy {policy!r}.")


def _ease(lake: Path, user_ids: NDArray[np.uint64], item_ids: NDArray[np.uint64]) -> Scores:
    history = Interactions.load(lake)
    scores = EasePeer.fit(history).scores(np.searchsorted(history.users["user_id"].to_numpy(), user_ids))
    order = np.argsort(history.items["item_id"].to_numpy())
    assert np.array_equal(history.items["item_id"].to_numpy()[order], item_ids), "the world has the lake's items"
    return scores[:, order].astype(np.float64)
