from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.item_content import ItemContent, token_names
from models.tower_inputs import TowerInputs
from models.two_tower import InterestPooling, ServedUser, TwoTower, TwoTowerConfig, attention_bias

ITEMS = 12
INPUTS = TowerInputs(
    item_ids=np.arange(100, 100 + ITEMS, dtype=np.uint64),
    user_ids=np.array([7, 8], np.uint64),
    profiles={"gender": ("F", "M"), "age": ("25",), "occupation": (), "region": ()},
)
CONTENT = ItemContent.of(
    titles=["Night Train"] * 6 + ["Long Night"] * 6,
    years=[1995] * ITEMS,
    genres=[("Drama",), ("Comedy",)] * 6,
    creators=[()] * ITEMS,
)


@pytest.fixture
def towers() -> TwoTower:
    torch.manual_seed(0)
    towers = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16, blocks=2))
    with torch.no_grad():
        towers.user.users.weight.normal_(std=0.3)
    return towers.eval()


def towers_of(interests: int) -> TwoTower:
    torch.manual_seed(0)
    return TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16, blocks=2, interests=interests)).eval()


def vectors_of(towers: TwoTower, history: list[int], user: int = 0, waited: list[int] | None = None) -> torch.Tensor:
    profile = torch.tensor([INPUTS.profile_rows({"gender": "F"})])
    waits = torch.tensor([waited or [0] * (len(history) + 1)])
    vectors, _ = towers(torch.tensor([history], dtype=torch.int64), waits, torch.tensor([user]), profile)
    found: torch.Tensor = vectors[0].squeeze(1)
    return found


def test_both_sides_have_length_one(towers: TwoTower) -> None:
    users, items = towers(
        torch.tensor([[0, 3, 5]]), torch.tensor([[0, 1, 2, 3]]), torch.tensor([1]), torch.tensor([[1, 4, 5, 6]])
    )
    assert users.shape == (1, 4, 1, 16)
    assert items.shape == (ITEMS, 16)
    torch.testing.assert_close(users.norm(dim=3), torch.ones(1, 4, 1))
    torch.testing.assert_close(items.norm(dim=1), torch.ones(ITEMS))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=10),
    st.lists(st.integers(0, ITEMS), min_size=1, max_size=9),
    st.integers(1, 3),
)
def test_no_position_knows_what_comes_later(past: list[int], later: list[int], interests: int) -> None:
    towers = towers_of(interests)
    alone = vectors_of(towers, past)
    longer = vectors_of(towers, past + later)
    torch.testing.assert_close(longer[: len(past) + 1], alone, atol=1e-5, rtol=0)


def test_order_id_and_profile_matter(towers: TwoTower) -> None:
    base = vectors_of(towers, [1, 2, 3])[-1]
    assert not torch.allclose(base, vectors_of(towers, [3, 2, 1])[-1], atol=1e-3)
    assert not torch.allclose(base, vectors_of(towers, [1, 2, 3], user=1)[-1], atol=1e-3)
    assert not torch.allclose(vectors_of(towers, [0], user=1)[0], vectors_of(towers, [0], user=2)[0], atol=1e-3)


def test_the_wait_after_the_newest_item_matters_and_moves_nothing_before_it(towers: TwoTower) -> None:
    soon, late = (vectors_of(towers, [1, 2, 3], waited=[0, 1, 1, after]) for after in (1, 20))
    torch.testing.assert_close(soon[:-1], late[:-1])
    assert not torch.allclose(soon[-1], late[-1], atol=1e-3)


def test_towers_that_are_not_told_the_time_know_the_waits_before_only() -> None:
    torch.manual_seed(0)
    towers = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16, request_time=False)).eval()
    soon, late = (vectors_of(towers, [1, 2, 3], waited=[0, 1, 1, after]) for after in (1, 20))
    torch.testing.assert_close(soon, late)
    early, tardy = (vectors_of(towers, [1, 2, 3], waited=[0, 1, between, 1]) for between in (1, 20))
    assert not torch.allclose(early[-1], tardy[-1], atol=1e-3)


def test_heads_look_back_over_different_spans() -> None:
    bias = attention_bias(3, 4)
    assert bias[:, 3].tolist() == [[-1.5, -1.0, -0.5, 0.0], [-0.375, -0.25, -0.125, 0.0], [0.0] * 4]
    assert torch.isneginf(bias).sum() == 3 * 6


def test_the_served_form_takes_the_position_after_the_last_real_item(towers: TwoTower) -> None:
    history = torch.tensor([[4, 2, 9], [5, ITEMS, ITEMS], [ITEMS, ITEMS, ITEMS]])
    lengths, users = torch.tensor([3, 1, 0]), torch.tensor([1, 2, 0])
    profile = torch.tensor([INPUTS.profile_rows({})] * 3)
    waited = torch.tensor([[0, 1, 5, 9], [0, 27, 0, 0], [0, 0, 0, 0]])
    served = ServedUser(towers)(history, waited, lengths, users, profile)
    every, _ = towers(history, waited, users, profile)
    torch.testing.assert_close(served, torch.stack([every[0, 3], every[1, 1], every[2, 0]])[:, 0])
    towers = towers_of(3)
    served = ServedUser(towers)(history, waited, lengths, users, profile)
    every, _ = towers(history, waited, users, profile)
    assert served.shape == (3, 3, 16)
    torch.testing.assert_close(served, torch.stack([every[0, 3], every[1, 1], every[2, 0]]))


def test_one_interest_is_the_state_of_a_place_and_nothing_else() -> None:
    torch.manual_seed(0)
    plain = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16))
    one, three = towers_of(1), towers_of(3)
    assert all(torch.equal(value, one.state_dict()[name]) for name, value in plain.state_dict().items())
    # What they share is drawn alike; several interests only add to it.
    assert all(torch.equal(value, three.state_dict()[name]) for name, value in plain.state_dict().items())
    more = three.state_dict().keys() - plain.state_dict().keys()
    assert more
    assert all(name.startswith("user.pooling.") for name in more)
    states: list[torch.Tensor] = []
    one.user.norm.register_forward_hook(lambda _module, _inputs, output: states.append(output))
    vectors = vectors_of(one, [1, 2, 3], user=1)
    expected = one.user.out(states[0]) + one.user.users(torch.tensor([1]))
    assert torch.equal(vectors, expected[0] / expected[0].norm(dim=1, keepdim=True))


def test_interests_differ_and_have_length_one() -> None:
    vectors = vectors_of(towers_of(3), [1, 2, 3, 4, 5])
    torch.testing.assert_close(vectors.norm(dim=2), torch.ones(6, 3))
    cosines = vectors[-1] @ vectors[-1].T
    assert cosines[~torch.eye(3, dtype=torch.bool)].max() < 0.9999


def test_an_interest_mixes_the_history_by_softmax_of_what_its_query_likes() -> None:
    torch.manual_seed(0)
    pooling = InterestPooling(TwoTowerConfig(width=4, heads=1, interests=2))
    states, asking = torch.randn(1, 3, 4), torch.randn(1, 1, 4)
    found = pooling(asking, states, torch.tensor([0.0, 0.0, -torch.inf]))
    read = pooling.before(states)[0, :2]
    for interest, query in enumerate(pooling.queries(asking)[0, 0].split(4)):
        expected = (read @ query / 2).softmax(dim=0) @ read
        torch.testing.assert_close(found[0, 0, interest], expected)


def test_a_user_without_any_interest_is_refused() -> None:
    with pytest.raises(ValueError, match="one interest at least"):
        TwoTowerConfig(interests=0)


def test_hidden_ids_leave_the_content(towers: TwoTower) -> None:
    tower = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16, item_dropout=1.0)).train()
    tower_content = tower.items.content.weight
    names = token_names("Night Train", 1995, ("Drama",), ())
    rows = [CONTENT.vocabulary.index(name) for name in names]
    torch.testing.assert_close(tower.items()[0], tower_content[rows].sum(dim=0))


def test_content_shared_by_too_few_items_is_no_token() -> None:
    assert "word:night" in CONTENT.vocabulary
    few = ItemContent.of(["Solaris", "Stalker"], [1972, 1979], [("Drama",), ("Drama",)], [(), ()], min_items=2)
    assert few.vocabulary == ("genre:Drama",)
    assert few.offsets.tolist() == [0, 1]


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of heads"):
        TwoTowerConfig(width=64, heads=3)
