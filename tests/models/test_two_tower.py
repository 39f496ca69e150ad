from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.item_content import ItemContent, token_names
from models.tower_inputs import TowerInputs
from models.two_tower import ServedUser, TwoTower, TwoTowerConfig, attention_bias

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


def vectors_of(towers: TwoTower, history: list[int], user: int = 0, waited: list[int] | None = None) -> torch.Tensor:
    profile = torch.tensor([INPUTS.profile_rows({"gender": "F"})])
    waits = torch.tensor([waited or [0] * (len(history) + 1)])
    vectors, _ = towers(torch.tensor([history], dtype=torch.int64), waits, torch.tensor([user]), profile)
    found: torch.Tensor = vectors[0]
    return found


def test_both_sides_have_length_one(towers: TwoTower) -> None:
    users, items = towers(
        torch.tensor([[0, 3, 5]]), torch.tensor([[0, 1, 2, 3]]), torch.tensor([1]), torch.tensor([[1, 4, 5, 6]])
    )
    assert users.shape == (1, 4, 16)
    assert items.shape == (ITEMS, 16)
    torch.testing.assert_close(users.norm(dim=2), torch.ones(1, 4))
    torch.testing.assert_close(items.norm(dim=1), torch.ones(ITEMS))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=10),
    st.lists(st.integers(0, ITEMS), min_size=1, max_size=9),
)
def test_no_position_knows_what_comes_later(past: list[int], later: list[int]) -> None:
    torch.manual_seed(0)
    towers = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16, blocks=2)).eval()
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
    torch.testing.assert_close(served, torch.stack([every[0, 3], every[1, 1], every[2, 0]]))


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
