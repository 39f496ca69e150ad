"""A data set that nobody prepared the code for: string ids, no ties, no attributes, people who came once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from redis import Redis
from rich.console import Console

from models.artifact import verify
from models.dlrm import DlrmConfig
from models.lambdamart import LambdaMartConfig
from models.ranking import Ranker, load_ranker
from models.user import UserState
from services.gateway.search.finder import vocabulary_of
from services.gateway.search.words import phrase
from services.ingest.rebuild import FILLED
from services.local import command
from services.local.layout import Waves
from services.local.settings import LocalSettings
from services.retrieval.loading import MODEL_NAMES, open_retriever
from services.runtime.ids import to_int
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.runtime.stores import redis_server
from services.trainer.catalog import item_table
from services.trainer.data.interactions import Interactions
from services.trainer.data.tabular.importer import import_files
from services.trainer.data.tabular.request import ImportRequest
from services.trainer.pipeline import Plan, train
from services.trainer.progress import Steps
from services.trainer.retrieval_models import RetrievalFitConfig
from services.trainer.tower_fit import TowerFitConfig
from tests.trainer.tabular.shop import HEADER, NOW, walks, write_csv

SHOWN = 10
ITEMS = 120


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder after an import and a training that know nothing of the data."""
    data_dir = tmp_path_factory.mktemp("shop")
    log = write_csv(data_dir / "shop.csv", HEADER, walks(200, ITEMS))
    import_files(ImportRequest(log), data_dir, NOW)
    plan = Plan(
        data_dir,
        retrieval=RetrievalFitConfig(fit=TowerFitConfig(epochs=1, held_out=40, negatives=64, threads=1)),
        rankers={
            "lambdamart": LambdaMartConfig(trees=20, leaves=7),
            "dlrm": DlrmConfig(epochs=1, batch_rows=1024),
        },
    )
    train(plan, Steps(Console(quiet=True)))
    return data_dir


@pytest.fixture(scope="module")
def interactions(shop: Path) -> Interactions:
    return Interactions.load(shop / "lake")


def _recommended(shop: Path, scratch: Path, user: UserState, alias: str = CHAMPION) -> list[str]:
    """What retrieval and a ranker of the registry show this user, as the outside world spells it."""
    registry = Registry.open(shop)
    folders = scratch / "models"
    folders.mkdir()
    for name in MODEL_NAMES:
        (folders / name).symlink_to(registry.resolve(name).folder)
    interactions = Interactions.load(shop / "lake")
    table = item_table(interactions.items, interactions.events_frame())
    ranker: Ranker = load_ranker(registry.resolve("ranker", alias).folder)
    with open_retriever(folders, table, scratch) as retriever:
        found = retriever.retrieve(user, 100)
    at_ms = int(NOW.timestamp() * 1000)
    scores = ranker.score(ranker.spec.assemble(user, table, found.ids, found.scores, at_ms))
    assert np.isfinite(scores).all()
    shown = found.ids[np.argsort(-scores, kind="stable")[:SHOWN]]
    return [table.item_ids[row] for row in table.rows_of(shown).tolist()]


def _state(interactions: Interactions, external: str) -> UserState:
    """A user now, found by the id that REST is given."""
    row = int(np.flatnonzero(interactions.users["user_id"].to_numpy() == to_int(external))[0])
    return interactions.state_before(row, last=0)


def _near(last: str, items: list[str]) -> int:
    """How many of the items stand right behind the last one bought: what the walks mostly do next."""
    place = int(last[4:8])
    return len({f"SKU/{(place + step) % ITEMS:04}é" for step in (1, 2)} & set(items))


def test_every_model_is_published_whole(shop: Path) -> None:
    registry = Registry.open(shop)
    for name, alias in (
        ("two_tower", CHAMPION),
        ("popularity", CHAMPION),
        ("ranker", CHAMPION),
        ("ranker", CHALLENGER),
    ):
        found = registry.resolve(name, alias)
        assert verify(found.folder) == found.manifest
    assert registry.resolve("ranker").manifest.metrics["funnel_hr@10"] > 0.2


@pytest.mark.parametrize("alias", [CHAMPION, CHALLENGER])
def test_a_user_of_a_string_id_gets_what_comes_next(
    shop: Path, interactions: Interactions, tmp_path: Path, alias: str
) -> None:
    user = _state(interactions, "c-0007@shop")
    assert user.history.size > 1
    names = dict(interactions.items.select("item_id", "external_id").iter_rows())
    items = _recommended(shop, tmp_path, user, alias)
    assert len(items) == SHOWN
    assert not set(items) & {names[item] for item in user.history.tolist()}
    assert all(item in set(names.values()) for item in items)


def test_one_event_is_enough_to_be_followed(shop: Path, interactions: Interactions, tmp_path: Path) -> None:
    followed = 0
    for place, external in enumerate(["c-0000@shop", "c-0005@shop", "c-0010@shop", "c-0015@shop"]):
        user = _state(interactions, external)
        assert user.history.size == 1
        names = dict(interactions.items.select("item_id", "external_id").iter_rows())
        (tmp_path / str(place)).mkdir()
        followed += _near(names[int(user.history[0])], _recommended(shop, tmp_path / str(place), user))
    assert followed >= 4


def test_nobody_knows_them_and_they_get_a_list_all_the_same(shop: Path, tmp_path: Path) -> None:
    items = _recommended(shop, tmp_path, UserState(to_int("never@seen")))
    assert len(set(items)) == SHOWN


def test_the_events_of_those_who_came_once_were_learned_from(shop: Path, interactions: Interactions) -> None:
    known = interactions.leave_last(1)
    once = np.flatnonzero(np.diff(interactions.offsets) == 1)
    assert once.size >= 40
    assert (np.diff(known.offsets)[once] == 1).all()


def test_items_without_titles_are_found_by_their_ids(interactions: Interactions) -> None:
    vocabulary = vocabulary_of(item_table(interactions.items, interactions.events_frame()))
    found = vocabulary.titled(phrase("sku/0007é"))
    assert [title.id for title in found] == [to_int("SKU/0007é")]


def test_the_stack_starts_on_the_features_of_what_was_trained(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bytes | None] = []

    async def look(settings: LocalSettings, waves: Waves) -> None:
        with redis_server(settings.data_dir / "redis") as url, closing(Redis.from_url(url)) as client:
            found.append(cast(bytes | None, client.get(FILLED)))

    monkeypatch.setenv("CASCADE_DATA_DIR", str(shop))
    for name in LocalSettings.model_fields:
        if name.endswith("_port"):
            monkeypatch.setenv(f"CASCADE_{name.upper()}", "0")
    monkeypatch.setattr(command, "run_stack", look)
    command.main()
    assert found == [(shop / "lake" / "snapshot.json").read_bytes()]
