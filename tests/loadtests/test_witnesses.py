"""What witnesses notice, and what a crowd clicks."""

from __future__ import annotations

import random
from typing import Any

from loadtests.visits import Visit
from loadtests.witnesses import Crowd, Noticed


def answer(version: str) -> dict[str, Any]:
    return {"items": [{"item_id": "1"}], "degraded": [{"stage": "ranking"}], "model_versions": {"ranker": version}}


def test_answers_are_told_apart_by_version_and_failures_counted() -> None:
    noticed = Noticed()
    for version in ("1", "2", "2"):
        noticed.answer(200, answer(version))
    noticed.answer(503, {})
    noticed.answer(200, answer("2") | {"items": []})
    assert (noticed.answers, noticed.failed, noticed.degraded.total()) == (5, 2, 3)
    assert [noticed.of(f"ranker {version}").answers for version in "123"] == [1, 2, 0]
    assert noticed.of("ranker 1").last <= noticed.of("ranker 2").first <= noticed.of("ranker 2").last
    assert noticed.of("ranker 3").last == 0


def test_what_nobody_likes_is_clicked_by_nobody_and_the_rest_by_some() -> None:
    crowd = Crowd(["7"], {"good": 1.0, "bad": 0.0})
    page = [{"item_id": "bad", "genres": ["Drama"]}, {"item_id": "good", "genres": ["Drama"]}]
    acts = [
        act.item_id
        for seed in range(200)
        for act in crowd.acts(Visit.start(f"u{seed}", random.Random(seed)), f"u{seed}", page)
    ]
    assert acts
    assert set(acts) == {"good"}
