from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artifact import Manifest, read_manifest, seal, verify
from models.items import ItemTable
from models.user import UserState
from services.retrieval.config import RetrievalConfig, SourceShare
from services.retrieval.retriever import Retriever
from services.trainer import shares
from services.trainer.moment import Moment
from services.trainer.shares import learn_shares, write_shares
from tests.retrieval.tiny_models import IDS, built_index, catalog, fitted, sequences

SILENT = SourceShare(depth=1.0, quota=0.0, weight=0.0, cold_weight=0.0)


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    models = fitted()
    with_index = built_index(models, Path(tmp_path_factory.mktemp("index")) / "shard")
    yield Retriever(models, with_index, ItemTable(catalog()))
    with_index.close()


def moments() -> list[Moment]:
    """Users of one genre each, before the last of their items."""
    return [
        Moment(UserState(user, history=items[:-1], seen=items[:-1], at_ms=1), int(items[-1]))
        for user, items in enumerate(sequences())
    ]


def mute(retriever: Retriever, *names: str) -> Retriever:
    """Listening to all sources but these, of which only the popular remain."""
    told = {name: SILENT if name in names else share for name, share in retriever.config.shares.items()}
    config = replace(retriever.config, shares=told)
    return Retriever(retriever.models, retriever.index, retriever.catalog.items, config)


def test_a_source_that_knows_what_comes_next_gets_its_share(
    retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "CANDIDATES", 12)
    silenced = mute(retriever, "two_tower", "co_visitation", "ease", "because_you_watched", "creators")
    learned = learn_shares(silenced, moments())
    overheard = shares.overhear(silenced, moments())
    assert overheard is not None
    assert shares.quality(learned, overheard) > 1.1 * shares.quality(silenced.config, overheard)
    assert max(share.weight for name, share in learned.shares.items() if name != "popularity") > 0


def test_sources_for_whom_the_past_says_nothing_are_kept(retriever: Retriever) -> None:
    learned = learn_shares(retriever, moments()[:30])
    for name in ("popularity", "fresh"):
        assert learned.shares[name] == retriever.config.shares[name]
    assert sum(share.quota for share in learned.shares.values()) <= 1
    assert all(share.depth >= share.quota for share in learned.shares.values())


def test_nothing_is_learned_from_strangers_and_unknown_items(retriever: Retriever) -> None:
    strangers = [Moment(UserState(1), 5), Moment(UserState(2, history=IDS[:3]), 424242)]
    assert learn_shares(retriever, strangers) == retriever.config


def test_shares_travel_in_the_manifest(tmp_path: Path) -> None:
    seal(tmp_path, Manifest("two_tower", "two_tower", config={"towers": {"width": 16}}))
    start = RetrievalConfig()
    learned = replace(start, shares={**start.shares, "ease": replace(start.shares["ease"], weight=0.35)})
    write_shares(tmp_path, learned)
    verify(tmp_path)
    config = read_manifest(tmp_path).config
    assert config["towers"] == {"width": 16}
    assert RetrievalConfig.of_manifest(config) == learned
    assert RetrievalConfig.of_manifest({}) == start


def test_progress_reaches_what_was_planned(retriever: Retriever) -> None:
    told: list[tuple[int, int]] = []
    learn_shares(retriever, moments()[:5], progress=lambda done, planned: told.append((done, planned)))
    assert told[-1][0] == told[-1][1] == len(told)
    assert np.all(np.diff([done for done, _ in told]) == 1)
