"""People with two tastes each, in towers too narrow for one vector that is near both of them and to nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from models.item_content import ItemContent
from models.tower_inputs import PROFILE_FIELDS, TowerInputs
from models.two_tower import ServedUser, TwoTowerConfig
from services.trainer.commands import retrieval_fit
from services.trainer.compute import Compute
from services.trainer.retrieval_models import RetrievalFitConfig
from services.trainer.tower_fit import TowerData, TowerFitConfig, fit_tower
from services.trainer.tower_windows import Sequences

TASTES, ITEMS_OF_ONE = 12, 6
ITEMS = TASTES * ITEMS_OF_ONE
USERS, EVENTS = 400, 20
FIT = TowerFitConfig(epochs=30, batch_windows=32, negatives=64, warm_up=10, patience=30, bf16=False, threads=1)


@dataclass(frozen=True, slots=True)
class People:
    """Users who turn to items of their two tastes by the toss of a coin."""

    tastes: NDArray[np.int64]
    """(USERS, 2); item i is of taste i // ITEMS_OF_ONE."""
    data: TowerData


def people(seed: int) -> People:
    random = np.random.default_rng(seed)
    tastes = np.array([random.choice(TASTES, 2, replace=False) for _ in range(USERS)])
    chosen = np.take_along_axis(tastes, random.integers(0, 2, (USERS, EVENTS)), axis=1)
    items = chosen * ITEMS_OF_ONE + random.integers(0, ITEMS_OF_ONE, chosen.shape)
    ids = np.arange(1, ITEMS + 1, dtype=np.uint64)
    inputs = TowerInputs(ids, np.arange(1, USERS + 1, dtype=np.uint64), dict.fromkeys(PROFILE_FIELDS, ()))
    content = ItemContent.of([""] * ITEMS, [None] * ITEMS, [()] * ITEMS, [()] * ITEMS)
    sequences = Sequences(np.arange(USERS + 1) * EVENTS, items.ravel(), np.zeros(items.size, np.int64), padding=ITEMS)
    return People(tastes, TowerData(inputs, content, sequences, np.array([inputs.profile_rows({})] * USERS)))


def found(who: People, interests: int, seed: int) -> float:
    """Share of the users of whose either taste the list of 2 * ITEMS_OF_ONE best items holds two thirds."""
    shape = TwoTowerConfig(width=4, blocks=1, dropout=0.0, interests=interests)
    towers, _ = fit_tower(who.data, shape, FIT, seed, compute=Compute(torch.device("cpu")))
    users = np.arange(USERS)
    history, waited, lengths = who.data.sequences.newest(users, EVENTS, np.zeros(USERS, np.int64))
    rows = [torch.from_numpy(column) for column in (history, waited, lengths, users + 1, who.data.profiles)]
    with torch.inference_mode():
        vectors = ServedUser(towers)(*rows).view(USERS, interests, -1)
        scores = (vectors @ F.normalize(towers.items(), dim=1).T).amax(dim=1).numpy()
    best = np.argsort(-scores, axis=1)[:, : 2 * ITEMS_OF_ONE] // ITEMS_OF_ONE
    shares = [(best == taste[:, None]).mean(axis=1) * 2 for taste in who.tastes.T]
    return float((np.minimum(*shares) >= 2 / 3).mean())


def test_two_interests_find_both_tastes_of_more_people_than_one_of_as_many_steps() -> None:
    who = people(0)
    one, two = (found(who, interests, seed=0) for interests in (1, 2))
    assert two > 0.4
    assert one < 0.6 * two


def test_a_fit_is_told_how_many_interests_to_learn() -> None:
    assert retrieval_fit(0, 1) == RetrievalFitConfig()
    asked = retrieval_fit(9, 3)
    assert (asked.fit.epochs, asked.towers.interests) == (9, 3)
