from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifact import DamagedArtifact, Manifest
from models.content_tower import ContentTower
from models.item_content import ItemContent
from models.tower_inputs import WAITS, TowerInputs, waits
from models.two_tower import ServedUser, TwoTower, TwoTowerConfig
from models.user import HISTORY_LENGTH, UserState
from models.user_tower import ITEM_VECTORS_FILE, MODEL_FILE, UserTower
from services.trainer.tower_artifact import interests_of, take_over, write_tower

ITEMS = 40
UNKNOWN = 999_999
INPUTS = TowerInputs(
    item_ids=np.arange(10, 10 + ITEMS, dtype=np.uint64),
    user_ids=np.array([3, 5], np.uint64),
    profiles={"gender": ("F", "M"), "age": ("25-34",), "occupation": ("4",), "region": ("9",)},
)
CONTENT = ItemContent.of(["Solaris"] * ITEMS, [1972] * ITEMS, [("Drama",), ("Sci-Fi",)] * (ITEMS // 2), [()] * ITEMS)


@pytest.fixture(scope="module")
def towers() -> TwoTower:
    torch.manual_seed(0)
    towers = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16)).eval()
    with torch.no_grad():
        towers.user.users.weight.normal_(std=0.3)
        towers.user.profile.weight.normal_(std=0.3)
    return towers


@pytest.fixture(scope="module")
def folder(towers: TwoTower, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "two_tower"
    write_tower(towers, INPUTS, CONTENT, folder, Manifest("two_tower", "two_tower"))
    return folder


@pytest.fixture(scope="module")
def several(towers: TwoTower, tmp_path_factory: pytest.TempPathFactory) -> tuple[TwoTower, Path]:
    """Towers of three interests and their artifact; beside it, as "one", the artifact of those of one."""
    root = tmp_path_factory.mktemp("several")
    torch.manual_seed(1)
    three = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16, interests=3)).eval()
    for name, found in (("three", three), ("one", towers)):
        config = {"towers": {"interests": 3}} if found is three else {}
        write_tower(found, INPUTS, CONTENT, root / name, Manifest("two_tower", "two_tower", config=config))
    return three, root / "three"


@pytest.fixture(scope="module")
def tower(folder: Path) -> UserTower:
    return UserTower.load(folder)


def user(user_id: int = 3, history: tuple[int, ...] = (), at_ms: int = 0, **profile: str) -> UserState:
    times = 1_000_000 * np.arange(1, len(history) + 1)
    return UserState(user_id, profile, np.array(history, np.uint64), times, at_ms=at_ms)


def test_item_vectors_stand_in_the_order_of_sorted_ids_and_have_length_one(tower: UserTower) -> None:
    assert np.array_equal(tower.item_ids, INPUTS.item_ids)
    assert tower.item_vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(tower.item_vectors, axis=1), 1.0, atol=1e-5)


def test_onnx_says_what_torch_says(tower: UserTower, towers: TwoTower) -> None:
    random = np.random.default_rng(0)
    users = [
        UserState(
            int(random.integers(8)),
            {"gender": "F", "age": "25-34"},
            random.choice(INPUTS.item_ids, length),
            np.sort(random.integers(1, 10**9, length)),
            at_ms=2 * 10**9,
        )
        for length in (0, 1, 2, 17, 200, 200)
    ]
    columns = {name: torch.from_numpy(column) for name, column in INPUTS.columns(users).items()}
    with torch.no_grad():
        expected = ServedUser(towers)(**columns).numpy()
    np.testing.assert_allclose(tower.encode_batch(users)[:, 0], expected, atol=1e-4)


def test_a_user_is_encoded_alike_alone_and_in_a_batch(tower: UserTower) -> None:
    users = [user(history=(10, 11, 12)), user(5, history=(20,)), user(77)]
    batch = tower.encode_batch(users)
    for row, one in zip(batch, users, strict=True):
        np.testing.assert_allclose(row, tower.encode(one), atol=1e-5)
    assert tower.encode_batch([]).shape == (0, 1, 16)


def test_vectors_have_length_one(tower: UserTower) -> None:
    vectors = tower.encode_batch([user(history=(10, 11)), user(99), user(5, gender="M")])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), 1.0, atol=1e-5)


def test_unknown_items_of_the_history_are_skipped(tower: UserTower) -> None:
    clean = UserState(3, {}, np.array([10, 11], np.uint64), np.array([2_000_000, 4_000_000]))
    np.testing.assert_allclose(tower.encode(user(history=(UNKNOWN, 10, UNKNOWN, 11))), tower.encode(clean), atol=1e-6)
    np.testing.assert_allclose(tower.encode(user(history=(UNKNOWN,))), tower.encode(user()), atol=1e-6)


def test_strangers_without_history_differ_by_profile(tower: UserTower) -> None:
    woman, man, nobody = tower.encode_batch([user(99, gender="F"), user(99, gender="M"), user(99)])
    assert not np.allclose(woman, man, atol=1e-3)
    np.testing.assert_allclose(tower.encode(user(98, gender="X")), nobody, atol=1e-6)


def test_the_time_since_the_newest_item_is_read(tower: UserTower) -> None:
    at_once, later = (tower.encode(user(history=(10, 11), at_ms=at)) for at in (2_000_000, 90_000_000))
    assert not np.allclose(at_once, later, atol=1e-3)
    # Nobody waits after nothing.
    np.testing.assert_allclose(tower.encode(user(at_ms=5)), tower.encode(user()))


def test_waits_grow_by_one_with_every_doubling() -> None:
    at = 1_000_000 + 1000 * np.array([-5, 0, 1, 2, 3, 4, 7, 8, 3600, 2**40])
    assert waits(np.full(10, 1_000_000), at).tolist() == [1, 1, 2, 3, 3, 4, 4, 5, 13, WAITS - 1]
    assert waits(np.array([0, 5]), np.array([5, 0])).tolist() == [0, 0]


def test_only_the_newest_two_hundred_items_are_read(tower: UserTower) -> None:
    newest = tuple(INPUTS.item_ids[np.arange(HISTORY_LENGTH) % ITEMS].tolist())
    np.testing.assert_allclose(
        tower.encode(user(history=(13, 14, *newest))), tower.encode(user(history=newest)), atol=1e-6
    )


def test_an_item_without_events_lies_at_the_sum_of_its_tokens(folder: Path, towers: TwoTower) -> None:
    content = ContentTower.load(folder)
    rows = [CONTENT.vocabulary.index(name) for name in ("genre:Drama", "word:solaris", "year:1970")]
    expected = towers.items.content.weight[rows].sum(dim=0).detach().numpy()
    vector = content.vector("Solaris", 1974, ["Drama"])
    assert vector is not None
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
    assert content.vector("Unheard Of", None, []) is None


def test_several_interests_come_back_from_the_artifact_as_they_were(several: tuple[TwoTower, Path]) -> None:
    towers, folder = several
    users = [user(history=(10, 11, 12)), user(5, history=(20,)), user(77)]
    columns = {name: torch.from_numpy(column) for name, column in INPUTS.columns(users).items()}
    with torch.no_grad():
        expected = ServedUser(towers)(**columns).numpy()
    tower = UserTower.load(folder)
    assert (tower.interests, tower.encode_batch([]).shape) == (3, (0, 3, 16))
    np.testing.assert_allclose(tower.encode_batch(users), expected, atol=1e-4)
    np.testing.assert_allclose(tower.encode(users[0]), expected[0], atol=1e-4)
    again = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16, interests=3))
    take_over(again, INPUTS, CONTENT, folder)
    assert all(torch.equal(value, towers.state_dict()[name]) for name, value in again.state_dict().items())
    assert (interests_of(folder), interests_of(folder.parent / "one")) == (3, 1)


@pytest.mark.parametrize("other", [1, 2])
def test_towers_of_another_number_of_interests_are_no_start(several: tuple[TwoTower, Path], other: int) -> None:
    folder = several[1]
    towers = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16, interests=other))
    with pytest.raises(DamagedArtifact, match="cannot be the start"):
        take_over(towers, INPUTS, CONTENT, folder)
    three = TwoTower(INPUTS, CONTENT, TwoTowerConfig(width=16, interests=3))
    with pytest.raises(DamagedArtifact, match="cannot be the start"):
        take_over(three, INPUTS, CONTENT, folder.parent / "one")


def test_a_tower_that_is_not_whole_is_refused(tmp_path: Path, folder: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    np.save(tmp_path / ITEM_VECTORS_FILE, np.zeros((3, 16), np.float32))
    with pytest.raises(DamagedArtifact, match="3 item vectors for 40 items"):
        UserTower.load(tmp_path)
    (tmp_path / ITEM_VECTORS_FILE).write_bytes((folder / ITEM_VECTORS_FILE).read_bytes())
    (tmp_path / MODEL_FILE).write_bytes(b"not a model")
    with pytest.raises(DamagedArtifact, match=MODEL_FILE):
        UserTower.load(tmp_path)
