"""Following the registry: champions loaded together, swapped whole, kept when the new ones are no good."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from models.items import ItemTable
from models.user import UserState
from services.retrieval.champions import Champions
from services.retrieval.index.edge import EdgeIndex
from services.retrieval.loading import open_retriever
from services.retrieval.served import Loader, Serving, Versions
from services.retrieval.settings import RetrievalSettings
from services.runtime.errors import InvalidArgument, NotFound, SettingsError
from services.runtime.itemfeed import ItemFeed
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from tests.retrieval.artifacts import MODELS
from tests.retrieval.features_peer import item_rows
from tests.retrieval.tiny_models import DIMENSION, IDS, NEW, catalog


@pytest.fixture
def registry(data_dir: Path) -> Registry:
    return Registry.open(data_dir)


@pytest.fixture
def feed() -> ItemFeed:
    feed = ItemFeed()
    feed.table = ItemTable(catalog())
    return feed


@pytest.fixture
def champions(registry: Registry, feed: ItemFeed, data_dir: Path) -> Iterator[Champions]:
    champions = Champions(registry, feed, RetrievalSettings(CASCADE_DATA_DIR=data_dir))
    yield champions
    champions.close()


async def test_nothing_new_changes_nothing(champions: Champions) -> None:
    before = champions.current
    assert before.versions == dict.fromkeys(MODELS, "1")
    assert not await champions.refresh()
    assert champions.current is before


async def test_tower_and_index_are_swapped_together_and_the_old_copy_goes(
    champions: Champions, registry: Registry, artifacts: Path, data_dir: Path
) -> None:
    before = champions.current.retriever
    registry.publish("two_tower", artifacts / "two_tower", CHAMPION)
    assert await champions.refresh()
    assert champions.current.versions["two_tower"] == "2"
    assert champions.current.retriever.index is not before.index
    assert before.retrieve(UserState(0), 5).reports[0].error == ""
    registry.publish("two_tower", artifacts / "two_tower", CHAMPION)
    assert await champions.refresh()
    assert not await champions.refresh()
    # The champion's and that of the one before.
    assert len(list((data_dir / "index").glob("copy-*.lock"))) == 2


def publish(registry: Registry, artifacts: Path, alias: str) -> dict[str, str]:
    """The next version of all three, under an alias."""
    return {name: registry.publish(name, artifacts / name, alias) for name in MODELS}


def point(registry: Registry, alias: str, versions: Mapping[str, str]) -> None:
    for name, version in versions.items():
        registry.set_alias(name, alias, version)


async def test_challengers_serve_when_all_are_there_and_are_shared_where_they_can(
    champions: Champions, registry: Registry, artifacts: Path
) -> None:
    with pytest.raises(NotFound, match="no challenger"), champions.serving(CHALLENGER):
        pass
    version = registry.publish("two_tower", artifacts / "two_tower", CHALLENGER)
    registry.set_alias("co_visitation", CHALLENGER, "1")
    assert not await champions.refresh()
    for name in ("popularity", "ease"):
        registry.set_alias(name, CHALLENGER, "1")
    assert await champions.refresh()
    with champions.serving("") as champion, champions.serving(CHALLENGER) as challenger:
        assert challenger.versions == {"two_tower": version, "co_visitation": "1", "popularity": "1", "ease": "1"}
        assert challenger.retriever.models.co_visitation is champion.retriever.models.co_visitation
        assert challenger.retriever.models.popularity is champion.retriever.models.popularity
        assert challenger.retriever.index is not champion.retriever.index
        assert challenger.retriever.catalog.items is champion.retriever.catalog.items
    registry.remove_alias("co_visitation", CHALLENGER)
    assert await champions.refresh()
    assert champions.challenger is None
    with pytest.raises(InvalidArgument, match="model must be champion or challenger"), champions.serving("7"):
        pass


async def test_promotion_and_rollback_load_nothing_that_was_loaded_before(
    champions: Champions, registry: Registry, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(champions.current.versions)
    fresh = publish(registry, artifacts, CHALLENGER)
    assert await champions.refresh()
    indexes = champions.current.retriever.index, champions.challenger and champions.challenger.retriever.index
    monkeypatch.setattr(Loader, "load", None)
    point(registry, CHAMPION, fresh)
    for name in MODELS:
        registry.remove_alias(name, CHALLENGER)
    assert await champions.refresh()
    assert (champions.current.versions, champions.current.retriever.index) == (fresh, indexes[1])
    point(registry, CHAMPION, before)
    assert await champions.refresh()
    assert (champions.current.versions, champions.current.retriever.index) == (before, indexes[0])
    assert champions.current.retriever.retrieve(UserState(0), 5).reports[0].error == ""


async def test_models_that_move_one_after_the_other_are_taken_together(
    champions: Champions, registry: Registry, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = {name: registry.publish(name, artifacts / name) for name in MODELS}
    registry.set_alias("two_tower", CHAMPION, fresh["two_tower"])
    looks: list[dict[str, Versions]] = []
    aliased = champions._aliased

    def looking() -> dict[str, Versions]:
        looks.append(aliased())
        point(registry, CHAMPION, fresh)
        return looks[-1]

    monkeypatch.setattr(champions, "_aliased", looking)
    assert not await champions.refresh()
    assert champions.current.versions == dict.fromkeys(MODELS, "1")
    assert await champions.refresh()
    assert champions.current.versions == fresh
    assert looks[0][CHAMPION] != looks[-1][CHAMPION]


async def test_newcomers_and_changes_of_the_catalog_reach_the_challenger_too(
    champions: Champions, registry: Registry, artifacts: Path, feed: ItemFeed
) -> None:
    publish(registry, artifacts, CHALLENGER)
    assert await champions.refresh()
    feed.table = feed.table.updated(item_rows([94], [["Comedy"]]), np.array([5], np.uint64))
    champions.take_catalog(feed.table)
    await champions.refresh()
    with champions.serving(CHALLENGER) as challenger:
        found = challenger.retriever.retrieve(UserState(0), 94)
        assert found.column("two_tower")[found.ids == 94].size == 1
        assert np.isfinite(found.column("two_tower")[found.ids == 94]).all()
        assert 5 not in found.ids


async def test_new_numbers_of_known_items_do_not_place_newcomers_anew(
    champions: Champions, feed: ItemFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Serving, "extended", None)
    catalog = champions.current.retriever.catalog
    rows = item_rows([1], [["Comedy"]], event_count=[9.0], created_days=[1.0])
    feed.table = feed.table.updated(rows, np.empty(0, np.uint64))
    champions.take_catalog(feed.table)
    assert not await champions.refresh()
    assert champions.current.retriever.catalog.ids is catalog.ids
    assert champions.current.retriever.catalog.items is feed.table


async def test_an_index_in_use_stays_open_until_the_request_has_ended(
    champions: Champions, registry: Registry, artifacts: Path
) -> None:
    with champions.serving() as serving:
        for _ in range(3):
            registry.publish("two_tower", artifacts / "two_tower", CHAMPION)
            assert await champions.refresh()
        await champions.refresh()
        assert serving.retriever.retrieve(UserState(0), 5).reports[0].error == ""
    await champions.refresh()
    assert serving.retriever.retrieve(UserState(0), 5).reports[0].error, "It was closed."


async def test_a_challenger_that_cannot_be_loaded_is_told_of_once_and_keeps_no_champion_back(
    champions: Champions, registry: Registry, artifacts: Path
) -> None:
    broken = publish(registry, artifacts, CHALLENGER)
    (registry.resolve("two_tower", broken["two_tower"]).folder / "user_tower.onnx").write_bytes(b"junk")
    fresh = publish(registry, artifacts, CHAMPION)
    with capture_logs() as told:
        assert await champions.refresh()
        for _ in range(2):
            assert not await champions.refresh()
    assert champions.current.versions == fresh
    assert champions.challenger is None
    assert [entry["event"] for entry in told if entry["log_level"] == "error"] == ["models cannot be loaded"]


async def test_a_damaged_new_champion_changes_nothing(
    champions: Champions, registry: Registry, artifacts: Path
) -> None:
    version = registry.publish("popularity", artifacts / "popularity")
    folder = registry.resolve("popularity", version).folder
    next(path for path in folder.iterdir() if path.name != "manifest.json").write_bytes(b"junk")
    registry.set_alias("popularity", CHAMPION, version)
    assert not await champions.refresh()
    assert champions.current.versions["popularity"] == "1"


async def test_a_catalog_that_changes_while_champions_load_is_not_lost(
    champions: Champions, registry: Registry, artifacts: Path, feed: ItemFeed
) -> None:
    registry.publish("co_visitation", artifacts / "co_visitation", CHAMPION)
    feed.table = feed.table.updated(catalog().empty(), np.array([1], np.uint64))
    assert await champions.refresh()
    assert champions.current.retriever.catalog.items is feed.table


async def test_an_item_that_comes_later_gets_a_vector_by_its_content(champions: Champions, feed: ItemFeed) -> None:
    table = feed.table
    assert np.isin(NEW, champions.current.retriever.models.tower.item_ids).all()
    feed.table = table.updated(item_rows([94], [["Comedy"]]), np.empty(0, np.uint64))
    champions.take_catalog(feed.table)
    comedies = np.array([1, 4, 7], np.uint64)
    user = UserState(1, history=comedies, history_times=np.arange(3), seen=comedies)
    assert 94 in champions.current.retriever.retrieve(user, 94).ids
    assert not await champions.refresh()
    candidates = champions.current.retriever.retrieve(user, 94)
    assert candidates.proposed_by[candidates.ids == 94][0] & 1
    assert candidates.column("two_tower")[candidates.ids == 94][0] > 0.5
    assert champions.current.retriever.catalog.items is feed.table


def test_a_damaged_champion_at_the_start_is_one_sentence(feed: ItemFeed, registry: Registry, data_dir: Path) -> None:
    folder = registry.resolve("co_visitation").folder
    next(path for path in folder.iterdir() if path.name != "manifest.json").write_bytes(b"junk")
    with pytest.raises(SettingsError, match="is damaged"):
        Champions(registry, feed, RetrievalSettings(CASCADE_DATA_DIR=data_dir))


def test_a_missing_champion_is_one_sentence(feed: ItemFeed, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="has no 'champion' of 'two_tower'"):
        Champions(Registry.open(tmp_path), feed, RetrievalSettings(CASCADE_DATA_DIR=tmp_path))


def test_a_tower_without_a_whole_index_is_refused(artifacts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(artifacts, folder)
    shutil.rmtree(folder / "two_tower" / "index")
    with (
        pytest.raises(SettingsError, match="no vector index"),
        open_retriever(folder, ItemTable(catalog()), tmp_path / "scratch"),
    ):
        pass
    index = EdgeIndex.create(folder / "two_tower" / "index", DIMENSION)
    index.upsert(IDS[:7], np.zeros((7, DIMENSION), np.float32), [()] * 7)
    index.close()
    with (
        pytest.raises(SettingsError, match="7 of the tower's 90 vectors"),
        open_retriever(folder, ItemTable(catalog()), tmp_path / "scratch"),
    ):
        pass
    assert not any((tmp_path / "scratch").iterdir())


def test_a_model_that_is_not_there_is_one_sentence(artifacts: Path, tmp_path: Path) -> None:
    shutil.copytree(artifacts, tmp_path / "some")
    shutil.rmtree(tmp_path / "some" / "popularity")
    with (
        pytest.raises(SettingsError, match="retrieval model cannot be loaded"),
        open_retriever(tmp_path / "some", ItemTable(catalog()), tmp_path / "scratch"),
    ):
        pass
