"""Simulated visitors: who comes, how far they look, what they do."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.population import NEWCOMER, Act, Habits, Population, acts_on, appeal, examination

PAGES = 4000


def cards(count: int, genres: list[str] | None = None) -> list[dict[str, Any]]:
    return [{"item_id": str(place), **({"genres": genres} if genres else {})} for place in range(count)]


def clicks_by_position(eta: float) -> Counter[int]:
    """Clicks of many users who all are shown cards of one genre: taste is then the same at every position."""
    draw, habits = Random(5), Habits(eta=eta)
    return Counter(
        act.position
        for user in range(PAGES)
        for act in acts_on(str(user), cards(8, ["Drama"]), habits, draw)
        if act.type == "click"
    )


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_clicks_fall_with_the_position_as_the_examination_model_says(eta: float) -> None:
    clicks = clicks_by_position(eta)
    for position in (2, 4, 8):
        # 1/3 of examined cards are clicked; five standard deviations of the ratio of two counts.
        tolerance = 5 * (1 / clicks[1] + 1 / clicks[position]) ** 0.5
        assert clicks[position] / clicks[1] == pytest.approx(position**-eta, rel=tolerance)


@given(st.integers(1, 100), st.floats(0, 3))
def test_examination_is_a_probability_that_never_grows_downwards(position: int, eta: float) -> None:
    assert 0 < examination(position + 1, eta) <= examination(position, eta) <= examination(1, eta) == 1


@given(st.text(), st.lists(st.text(min_size=1), max_size=5))
def test_appeal_is_a_probability_that_belongs_to_user_and_item(user: str, genres: list[str]) -> None:
    item = {"item_id": "7", "genres": genres}
    assert 0 <= appeal(user, item) <= 1
    assert appeal(user, item) == appeal(user, dict(item))


def test_taste_is_by_genre_where_the_card_tells_it_and_by_item_where_not() -> None:
    assert appeal("1", {"item_id": "7", "genres": ["Drama"]}) == appeal("1", {"item_id": "8", "genres": ["Drama"]})
    assert appeal("1", {"item_id": "7", "genres": ["Drama"]}) != appeal("2", {"item_id": "7", "genres": ["Drama"]})
    assert appeal("1", {"item_id": "7"}) != appeal("1", {"item_id": "8"})


def test_the_same_draw_gives_the_same_visitor_and_acts() -> None:
    people = Population(known=50, new_share=0.0, seed=3)
    again = Population(known=50, new_share=0.0, seed=3)
    assert [people.arrival(Random(n)) for n in range(30)] == [again.arrival(Random(n)) for n in range(30)]
    assert acts_on("9", cards(10), Habits(), Random(1)) == acts_on("9", cards(10), Habits(), Random(1))


def test_a_few_users_come_often_and_the_share_of_newcomers_is_kept() -> None:
    people, draw = Population(known=100, new_share=0.2, exponent=1.0), Random(0)
    came = Counter(people.arrival(draw) for _ in range(10_000))
    new = {user for user in came if user.startswith(NEWCOMER)}
    known = sorted((count for user, count in came.items() if user not in new), reverse=True)
    assert sum(came[user] for user in new) == pytest.approx(2000, abs=200)
    assert all(came[user] == 1 for user in new)
    # Of 8000 visits the busiest user makes 1/H(100) = 19 %, the tenth a tenth of that.
    assert known[0] == pytest.approx(1542, rel=0.15)
    assert {user for user in came if user not in new} <= {str(number) for number in range(1, 101)}


def test_an_item_is_hidden_or_clicked_first_and_keeps_its_position() -> None:
    shown = cards(10)
    for user in range(300):
        by_item: dict[str, list[Act]] = {}
        for act in acts_on(str(user), shown, Habits(eta=0.0, hides=1.0), Random(user)):
            by_item.setdefault(act.item_id, []).append(act)
        for item, acts in by_item.items():
            assert [act.type for act in acts] in (
                ["hide"], ["click"], ["click", "watch"], ["click", "watch", "like"]
            )  # fmt: skip
            assert {act.position for act in acts} == {int(item) + 1}
            assert all(1 <= act.value <= 5 for act in acts if act.value is not None)
