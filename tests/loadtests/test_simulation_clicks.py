"""Expected clicks are what drawing or enumerating gives; the best page is the best of all pages."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from loadtests.simulation.clicks import CascadeModel, ClickModel, Luck, PositionModel, click_model
from loadtests.simulation.draws import EXAMINED, SATISFIED, SELECTED, uniform

MODELS = (PositionModel(1.0), PositionModel(0.5), PositionModel(2.0), CascadeModel())
Numbers = NDArray[np.float64]


def chances(places: int, seed: int) -> tuple[Numbers, Numbers]:
    """(places,) odds of selection and satisfaction."""
    random = np.random.default_rng(seed)
    return random.random(places), random.random(places)


def enumerated(model: ClickModel, selection: Numbers, satisfaction: Numbers) -> float:
    """Clicks times probability over every combination of what is examined, selected and satisfying."""
    places = selection.size
    looked = model.examination(places) if isinstance(model, PositionModel) else np.full(places, 0.5)
    total = 0.0
    for flags in product((0, 1), repeat=3 * places):
        given = np.array(flags).reshape(3, places)
        odds = np.stack([looked, selection, satisfaction])
        chance = float(np.where(given, odds, 1 - odds).prod())
        luck = Luck(*np.where(given, 0.0, 1.0 - 1e-12))
        total += chance * float(model.react(selection, satisfaction, luck).clicked.sum())
    return total


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_expected_clicks_are_those_of_every_outcome_weighted(model: ClickModel) -> None:
    selection, satisfaction = chances(4, seed=3)
    found = model.expected(selection[None], satisfaction[None])[0]
    assert found == pytest.approx(enumerated(model, selection, satisfaction), abs=1e-9)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_clicks_drawn_with_the_simulations_numbers_average_to_the_expected_ones(model: ClickModel) -> None:
    selection, satisfaction = chances(10, seed=4)
    items, pages = np.arange(1, 11, dtype=np.uint64), 4000
    drawn = []
    for user in range(pages):
        luck = Luck(*(uniform(purpose, 0, user, 1, items) for purpose in (EXAMINED, SELECTED, SATISFIED)))
        drawn.append(model.react(selection, satisfaction, luck).clicked.sum())
    error = np.std(drawn) / np.sqrt(pages)
    assert abs(np.mean(drawn) - model.expected(selection[None], satisfaction[None])[0]) < 4 * error


def test_nothing_below_the_first_satisfying_click_is_clicked() -> None:
    always = np.ones(5)
    luck = Luck(np.zeros(5), np.zeros(5), np.array([0.9, 0.1, 0.0, 0.0, 0.0]))
    reaction = CascadeModel().react(always, np.full(5, 0.5), luck)
    assert reaction.clicked.tolist() == [True, True, False, False, False]
    assert reaction.liked.tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_best_page_is_the_best_of_all_pages(model: ClickModel, seed: int) -> None:
    selection, satisfaction = chances(6, seed)
    selection[seed % 6] = 0.0
    pages = np.array(list(permutations(range(6), 3)))
    best = model.best_page(selection[None], satisfaction[None], 3)
    found = model.expected(selection[best], satisfaction[best])[0]
    assert len(set(best[0].tolist())) == 3
    assert found == pytest.approx(model.expected(selection[pages], satisfaction[pages]).max())


def test_a_click_model_is_chosen_by_name() -> None:
    assert click_model("position") == PositionModel(1.0)
    assert click_model("position-0.5") == PositionModel(0.5)
    assert click_model("cascade") == CascadeModel()
    with pytest.raises(ValueError, match="click model 'dcm'"):
        click_model("dcm")
