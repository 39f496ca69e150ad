from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from services.runtime.errors import CascadeError, Conflict, InvalidArgument, NotFound
from services.runtime.registry import CHALLENGER, CHAMPION, PREVIOUS
from services.trainer.rollout.aliases import MODELS
from services.trainer.rollout.ledger import NOTE, Ledger
from services.trainer.rollout.release import can_start, promote, promote_release, rollback, start_release
from tests.trainer.rollout.versions import QUARTET, Versions


def test_a_release_starts_as_challenger_and_one_at_a_time(versions: Versions) -> None:
    registry = versions.registry
    assert can_start(registry) is None
    second = versions.add("ranker")
    start_release(registry, {"ranker": second})
    assert versions.aliases("ranker") == {CHAMPION: "1", CHALLENGER: "2"}
    assert registry.resolve("ranker", "2").tags["rollout"] == "shadow 0"
    third = versions.add("ranker")
    assert "ranker 2, in stage shadow" in str(can_start(registry))
    with pytest.raises(Conflict, match="ranker 2, in stage shadow"):
        start_release(registry, {"ranker": third})
    start_release(registry, {"ranker": third}, supersede=True)
    assert versions.aliases("ranker") == {CHAMPION: "1", CHALLENGER: "3"}
    assert registry.resolve("ranker", "2").tags["rollout"].startswith("rolled back: A newer release")


def test_retrieval_models_are_released_together_or_not_at_all(versions: Versions) -> None:
    with pytest.raises(InvalidArgument, match="together with 'co_visitation'"):
        start_release(versions.registry, {"two_tower": "1"})
    with pytest.raises(NotFound, match="no '9' of 'ranker'"):
        start_release(versions.registry, {"ranker": "9"})
    assert Ledger(versions.registry).read().rollout is None


def test_promotion_moves_the_release_whole_and_rollback_leads_back_and_forth(versions: Versions) -> None:
    registry = versions.registry
    release = versions.add_all("second")
    start_release(registry, release)
    assert promote(registry, "two_tower") == release
    for name in MODELS:
        assert versions.aliases(name) == {CHAMPION: "2", PREVIOUS: "1"}
    assert rollback(registry, "ranker") == dict.fromkeys(MODELS, "1")
    for name in MODELS:
        assert versions.aliases(name) == {CHAMPION: "1", PREVIOUS: "2"}
    assert registry.resolve("ranker", "2").tags["rollout"] == "rolled back: Rolled back by hand."
    assert rollback(registry, "popularity") == release
    assert registry.resolve("ranker", "2").tags["rollout"] == "promoted"


def test_rollback_of_a_release_on_its_way_ends_it_and_leaves_the_champions(versions: Versions) -> None:
    release = {"ranker": versions.add("ranker")}
    start_release(versions.registry, release)
    assert rollback(versions.registry, "ranker") == {"ranker": "1"}
    assert versions.aliases("ranker") == {CHAMPION: "1"}
    assert can_start(versions.registry) is None
    with pytest.raises(Conflict, match="no champion before this one"):
        rollback(versions.registry, "ranker")


def test_a_version_promoted_by_hand_brings_what_was_trained_with_it(versions: Versions) -> None:
    registry = versions.registry
    versions.add("two_tower", "lonely")
    second = {name: versions.add(name, "second") for name in QUARTET}
    assert promote(registry, "co_visitation", second["co_visitation"]) == second
    assert {name: versions.aliases(name)[CHAMPION] for name in QUARTET} == second
    assert versions.aliases("ranker") == {CHAMPION: "1"}
    with pytest.raises(NotFound, match="No version of 'co_visitation' was trained with version 2 of 'two_tower'"):
        promote(registry, "two_tower", "2")


def test_promoting_another_version_ends_the_release_of_the_same_model_only(versions: Versions) -> None:
    registry = versions.registry
    tried, other = versions.add("ranker"), versions.add("ranker")
    start_release(registry, {"ranker": tried})
    second = {name: versions.add(name, "second") for name in QUARTET}
    promote_release(registry, second)
    assert can_start(registry) is not None, "the ranker is still being tried"
    assert promote(registry, "ranker", other) == {"ranker": other}
    assert versions.aliases("ranker") == {CHAMPION: other, PREVIOUS: "1"}
    assert "was promoted meanwhile" in registry.resolve("ranker", tried).tags["rollout"]


@pytest.mark.parametrize(
    ("name", "version", "error", "sentence"),
    [
        ("llm", "", NotFound, "There is no model 'llm'; there are ranker, two_tower"),
        ("ranker", "", Conflict, "There is no challenger of 'ranker'"),
        ("ranker", "9", NotFound, "no '9' of 'ranker'"),
        ("ranker", "champion", InvalidArgument, "version must be a number"),
        ("ranker", "2", Conflict, "was not let through: refused: worse"),
    ],
)
def test_what_cannot_be_promoted_is_said_in_a_sentence(
    versions: Versions, name: str, version: str, error: type[CascadeError], sentence: str
) -> None:
    versions.add("ranker", tags={"gate": "refused: worse"})
    with pytest.raises(error, match=sentence):
        promote(versions.registry, name, version)
    assert versions.aliases("ranker") == {CHAMPION: "1"}


def test_promoting_the_champion_once_more_keeps_the_way_back(versions: Versions) -> None:
    second = versions.add("ranker")
    assert promote(versions.registry, "ranker", second) == {"ranker": "2"}
    assert promote(versions.registry, "ranker", second) == {"ranker": "2"}
    assert versions.aliases("ranker") == {CHAMPION: "2", PREVIOUS: "1"}


def write_next(ledger: Ledger) -> None:
    with ledger.writing():
        pass


@pytest.mark.parametrize("finish", [write_next, Ledger.settled])
def test_moves_that_a_crash_interrupted_are_finished_by_whoever_is_next(
    versions: Versions, monkeypatch: pytest.MonkeyPatch, finish: Callable[[Ledger], object]
) -> None:
    registry = versions.registry
    release = versions.add_all("second")
    start_release(registry, release)
    made = list[str]()
    real = registry.set_alias

    def dying(name: str, alias: str, version: str) -> None:
        if len(made) == len(MODELS) + 1:
            raise KeyboardInterrupt
        made.append(name)
        real(name, alias, version)

    with monkeypatch.context() as patched:
        patched.setattr(registry, "set_alias", dying)
        with pytest.raises(KeyboardInterrupt):
            promote(registry, "ranker")
    assert {versions.aliases(name)[CHAMPION] for name in MODELS} == {"1", "2"}, "a half-made promotion"
    finish(Ledger(registry))
    for name in MODELS:
        assert versions.aliases(name) == {CHAMPION: "2", PREVIOUS: "1"}


def test_a_note_that_cannot_be_read_counts_as_none(versions: Versions) -> None:
    for text in ("not json", json.dumps({"rollout": {"strange": 1}, "tally": {}, "moves": {}})):
        versions.registry.note("ranker", NOTE, text)
        assert can_start(versions.registry) is None
