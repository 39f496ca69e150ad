"""The same user, item and round have the same luck in every arm, and the account of pages is right."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.simulation.clicks import CascadeModel, ClickModel, PositionModel
from loadtests.simulation.draws import SELECTED, uniform
from loadtests.simulation.people import Answer, People
from loadtests.simulation.settings import SHOWN
from tests.loadtests.small_people import ITEMS, USERS, small_world

EVERYBODY = np.arange(USERS)


def people(model: ClickModel | None = None, seed: int = 0) -> People:
    return People(small_world(), EVERYBODY, model or PositionModel(), seed)


def test_luck_does_not_depend_on_order_or_company() -> None:
    items = np.arange(1, 2000, dtype=np.uint64)
    alone = uniform(SELECTED, 1, 2, 3, items)
    assert np.array_equal(uniform(SELECTED, 1, 2, 3, items[::-1])[::-1], alone)
    assert alone.min() >= 0.0
    assert alone.max() < 1.0
    assert abs(alone.mean() - 0.5) < 0.03
    for other in ((SELECTED, 0, 2, 3), (SELECTED, 1, 3, 3), (SELECTED, 1, 2, 4), (SELECTED + 1, 1, 2, 3)):
        assert abs(np.corrcoef(uniform(*other, items), alone)[0, 1]) < 0.1


def test_two_arms_that_show_the_same_page_get_the_same_clicks_whatever_they_showed_others() -> None:
    page = [104, 102, 110, 107]
    one, other = people(), people()
    for arm, rows in ((one, (0, 1, 2, 3)), (other, (3, 1))):
        arm.begin(1)
        for row in rows:
            reaction = arm.show(row, page if row == 3 else [101 + row, 105])
            if row == 3:
                arm_clicks = reaction.clicked.tolist()
        if arm is one:
            expected = arm_clicks
    assert arm_clicks == expected


def test_another_seed_meets_other_luck() -> None:
    found = []
    for seed in range(20):
        arm = people(seed=seed)
        arm.begin(1)
        found.append(tuple(arm.show(1, [103, 104, 105, 106]).clicked.tolist()))
    assert len(set(found)) > 3


def test_items_shown_or_known_before_count_as_repeated_and_are_never_clicked() -> None:
    arm = people()
    arm.selection[:] = 1.0
    arm.begin(1)
    arm.selection[:] = 1.0
    known_to_the_system, twice, unheard_of = 101, 102, 999
    reaction = arm.show(0, [known_to_the_system, twice, twice, unheard_of])
    for row in (1, 2, 3):
        arm.show(row, [103])
    told = arm.finished(1)
    assert reaction.clicked.tolist() == [False, bool(reaction.clicked[1]), False, False]
    assert told.pages[0].repeated == 3
    assert told.pages[0].expected == pytest.approx(0.5)  # only the second place counts, examined half of the time
    assert told.coverage == pytest.approx(2 / ITEMS)
    assert arm.shown[0] == [101, 102, 102, 999]


def test_a_page_without_items_is_a_failure_that_counts_as_no_click() -> None:
    arm = people()
    arm.begin(1)
    arm.show(0, [], Answer("failed"))
    for row in (1, 2, 3):
        arm.show(row, [101, 104, 102], Answer("fallback", ("ranking",)))
    told = arm.finished(1)
    assert [page.served_by for page in told.pages] == ["failed", "fallback", "fallback", "fallback"]
    assert told.pages[0].expected == 0.0
    assert told.pages[1].degraded == ("ranking",)
    assert told.diversity == pytest.approx(np.mean([0.0, 2 / 3, 2 / 3, 2 / 3]))


def test_a_round_in_which_somebody_got_no_page_is_not_accounted_for() -> None:
    arm = people()
    arm.begin(1)
    arm.show(0, [103])
    with pytest.raises(ValueError, match="1 of 4 users"):
        arm.finished(1)


@pytest.mark.parametrize("model", [PositionModel(), PositionModel(2.0), CascadeModel()], ids=lambda model: model.name)
def test_no_page_is_expected_to_get_more_clicks_than_the_oracles(model: ClickModel) -> None:
    random = np.random.default_rng(0)
    for trial in range(30):
        arm = people(model, seed=trial)
        arm.begin(1)
        for row in range(USERS):
            free = np.flatnonzero(arm.free[row])
            arm.show(row, arm.world.item_ids[random.permutation(free)[:SHOWN]].tolist())
        assert all(page.expected <= page.possible + 1e-12 for page in arm.finished(1).pages)


def test_taste_turns_by_the_round_and_keeps_its_strength() -> None:
    world = small_world()
    still, turned = world.taste_of(EVERYBODY), world.taste_of(EVERYBODY, turn=2, drift=np.pi / 4)
    assert np.array_equal(still, world.taste)
    assert np.allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(still, axis=1), rtol=1e-5)
    assert not np.allclose(turned, still, atol=0.1)
