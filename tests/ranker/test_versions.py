"""Which versions are in memory, as the registry's aliases move and files break."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from models.artifact import DamagedArtifact
from services.ranker.versions import Versions
from services.runtime.errors import NotFound, SettingsError
from services.runtime.itemfeed import ItemFeed
from services.runtime.registry import RegisteredVersion
from tests.models.small_catalog import catalog
from tests.ranker.conftest import Published


def started(published: Published, kept: int = 4) -> Versions:
    feed = ItemFeed()
    feed.table = catalog()
    versions = Versions(published.registry, feed, kept)
    versions.start()
    return versions


def damage(published: Published, version: str) -> None:
    (published.registry.resolve("ranker", version).folder / "model.onnx").write_bytes(b"not a model")


def test_a_damaged_new_champion_changes_nothing(published: Published) -> None:
    versions = started(published)
    damage(published, "2")
    published.registry.set_alias("ranker", "champion", "2")
    with pytest.raises(DamagedArtifact, match=r"model\.onnx is damaged"):
        versions.refresh()
    assert versions.choose("").version == "1"


def test_a_damaged_challenger_does_not_keep_a_champion_back(published: Published) -> None:
    versions = started(published)
    newest = published.registry.publish("ranker", published.drafts / "trees", "champion")
    damage(published, "2")
    published.registry.set_alias("ranker", "challenger", "2")
    assert versions.refresh()
    assert versions.choose("champion").version == newest
    with pytest.raises(NotFound, match="challenger"):
        versions.choose("challenger")


def test_a_damaged_champion_at_the_start_is_one_sentence(published: Published) -> None:
    damage(published, "1")
    with pytest.raises(SettingsError, match="champion of 'ranker' cannot be loaded"):
        started(published)


def test_versions_in_memory_are_bounded_and_the_newest_stay(published: Published) -> None:
    versions = started(published, kept=2)
    published.registry.set_alias("ranker", "champion", "2")
    versions.refresh()
    assert {versions.choose(name).version for name in ("champion", "1")} == {"2", "1"}
    third = published.registry.publish("ranker", published.drafts / "trees", "champion")
    versions.refresh()
    assert {versions.choose(name).version for name in ("champion", "2")} == {third, "2"}
    with pytest.raises(NotFound, match="no model '1'"):
        versions.choose("1")


def test_the_champion_before_is_in_memory_from_the_start_and_back_at_once(published: Published) -> None:
    published.registry.set_alias("ranker", "champion", "2")
    published.registry.set_alias("ranker", "previous", "1")
    versions = started(published)
    before = versions.choose("previous")
    damage(published, "1")
    published.registry.set_alias("ranker", "champion", "1")
    assert versions.refresh()
    assert versions.choose("") is before


def test_a_challenger_that_becomes_champion_is_not_loaded_again(published: Published) -> None:
    published.registry.set_alias("ranker", "challenger", "2")
    versions = started(published)
    challenger = versions.choose("challenger")
    damage(published, "2")
    published.registry.set_alias("ranker", "champion", "2")
    published.registry.remove_alias("ranker", "challenger")
    versions.refresh()
    assert versions.choose("champion") is challenger
    with pytest.raises(NotFound, match="no model 'challenger'"):
        versions.choose("challenger")


def test_a_damaged_challenger_is_told_of_once_and_not_read_with_every_poll(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = started(published)
    damage(published, "2")
    published.registry.set_alias("ranker", "challenger", "2")
    read: list[str] = []
    resolve = published.registry.resolve

    def reading(name: str, version: str) -> RegisteredVersion:
        read.append(version)
        return resolve(name, version)

    monkeypatch.setattr(published.registry, "resolve", reading)
    with capture_logs() as told:
        for _ in range(3):
            versions.refresh()
    assert read == ["2"]
    assert [entry["event"] for entry in told] == ["version not loaded"]


def test_listing_says_which_versions_are_in_memory(published: Published) -> None:
    listed = started(published).listed()
    assert [(found.version, loaded) for found, loaded in listed] == [("2", False), ("1", True)]
