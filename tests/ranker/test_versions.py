"""Which versions are in memory, as the registry's aliases move and files break."""

from __future__ import annotations

import pytest

from models.artifact import DamagedArtifact
from services.ranker.versions import Versions
from services.runtime.errors import NotFound, SettingsError
from services.runtime.itemfeed import ItemFeed
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


def test_listing_says_which_versions_are_in_memory(published: Published) -> None:
    listed = started(published).listed()
    assert [(found.version, loaded) for found, loaded in listed] == [("2", False), ("1", True)]
