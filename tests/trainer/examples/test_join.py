"""Which reactions count for which shown item, and which slates become examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.pb import events_pb2
from services.trainer.examples.join import NO_FEATURES, NO_RANKER, OTHER_SPEC, UNRIPE, Reading, read_examples
from tests.trainer.examples.lake_of import COLUMNS, MINUTE, NOON, Slate, compact, reaction, write

DAY = timedelta(days=1)
WINDOW = 30 * MINUTE


def read(
    lake: Path,
    since: datetime = NOON - DAY,
    until: datetime = NOON + DAY,
    accepts: Callable[[str], bool] = lambda version: version == "3",
    ripe: timedelta | None = None,
) -> Reading:
    return read_examples(lake, COLUMNS, accepts, since=since, until=until, window=WINDOW, ripe=ripe)


def grades(lake: Path, *events: events_pb2.Event) -> list[float]:
    """Of a slate of the items 11, 12 and 13 shown at noon, after the given reactions."""
    write(lake, [Slate("s", (11, 12, 13)), *events])
    examples = read(lake).examples
    assert examples.item_ids.tolist() == [11, 12, 13]
    return [float(label) for label in examples.labels]


@pytest.mark.parametrize(
    ("kind", "value", "grade"),
    [
        ("click", None, 1), ("watch", None, 1), ("watch", 3.0, 1), ("watch", 4.0, 2), ("watch", 95.0, 1),
        ("like", None, 2), ("purchase", 250.0, 2), ("follow", None, 2), ("dislike", None, 0), ("hide", None, 0),
    ],
)  # fmt: skip
def test_each_kind_of_reaction_has_its_grade(kind: str, value: float | None, grade: float, tmp_path: Path) -> None:
    assert grades(tmp_path, reaction("s", 12, NOON + MINUTE, kind, value)) == [0, grade, 0]


def test_of_several_reactions_to_an_item_the_highest_counts_once(tmp_path: Path) -> None:
    events = [
        reaction("s", 12, NOON + place * MINUTE, kind)
        for place, kind in enumerate(("click", "like", "watch", "dislike"), 1)
    ]
    assert grades(tmp_path, *events) == [0, 2, 0]


def test_a_reaction_counts_within_the_window_and_the_slack_of_clocks(tmp_path: Path) -> None:
    second = timedelta(seconds=1)
    assert grades(
        tmp_path,
        reaction("s", 11, NOON - 4 * second),
        reaction("s", 12, NOON + WINDOW),
        reaction("s", 13, NOON + WINDOW + second),
    ) == [1, 1, 0]
    assert grades(tmp_path / "early", reaction("s", 11, NOON - 6 * second)) == [0, 0, 0]


def test_a_reaction_to_another_slate_or_to_an_item_that_was_not_shown_counts_for_nobody(tmp_path: Path) -> None:
    assert grades(tmp_path, reaction("other", 12, NOON + MINUTE), reaction("s", 99, NOON + MINUTE)) == [0, 0, 0]


def test_a_reaction_that_arrived_late_is_in_the_next_dataset(tmp_path: Path) -> None:
    assert grades(tmp_path) == [0, 0, 0]
    before = read(tmp_path).examples.content_hash
    write(tmp_path, [reaction("s", 13, NOON + MINUTE)], name="late")
    assert read(tmp_path).examples.labels.tolist() == [0, 0, 1]
    assert read(tmp_path).examples.content_hash != before


def test_a_reaction_after_midnight_finds_its_slate_of_the_day_before(tmp_path: Path) -> None:
    midnight = NOON + timedelta(hours=12)
    write(tmp_path, [Slate("s", (11, 12), at=midnight - MINUTE), reaction("s", 12, midnight + MINUTE)])
    for until in (midnight, midnight + DAY):
        assert read(tmp_path, until=until, ripe=timedelta(0)).examples.labels.tolist() == [0, 1]


def test_a_slate_that_was_written_twice_counts_once(tmp_path: Path) -> None:
    write(tmp_path, [Slate("s", (11, 12)), reaction("s", 12, NOON)])
    once = read(tmp_path)
    write(tmp_path, [Slate("s", (11, 12)), reaction("s", 12, NOON)], name="again")
    twice = read(tmp_path)
    assert twice.slates == once.slates == 1
    assert twice.examples.content_hash == once.examples.content_hash


def test_rows_come_by_time_recommendation_and_place_with_what_was_logged(tmp_path: Path) -> None:
    write(
        tmp_path,
        [
            Slate("b", (31, 32), user=9, experiments={"ranker": "challenger", "two_tower": "challenger"}),
            Slate("z", (21,), at=NOON - MINUTE, experiments={}),
            Slate("a", (41,)),
        ],
    )
    examples = read(tmp_path).examples
    assert examples.recommendation_ids.tolist() == ["z", "a", "b"]
    assert examples.group_sizes.tolist() == [1, 1, 2]
    assert examples.item_ids.tolist() == [21, 41, 31, 32]
    assert examples.positions.tolist() == [1, 1, 1, 2]
    assert examples.user_ids.tolist() == [7, 7, 9, 9]
    assert examples.arms.tolist() == ["none", "champion", "challenger", "challenger"]
    assert examples.features.tolist() == [[10.5, 0, 21], [20.5, 0, 41], [15.5, 0, 31], [16, 0, 32]]
    assert examples.columns == COLUMNS


def test_what_is_left_out_is_counted_by_its_reason(tmp_path: Path) -> None:
    good = Slate("good", (11, 12))
    write(
        tmp_path,
        [
            good,
            replace(good, name="fallback", versions={"two_tower": "1"}),
            replace(good, name="no-features", without_features=(11, 12)),
            replace(good, name="other-vocabulary", versions={"ranker": "2"}),
            replace(good, name="other-columns", columns=("log_position", "score", "item")),
            replace(good, name="fewer-columns", columns=COLUMNS[:2]),
            replace(good, name="unripe", at=NOON + MINUTE),
        ],
    )
    reading = read(tmp_path, until=NOON + WINDOW)
    assert reading.examples.recommendation_ids.tolist() == ["good"]
    assert reading.slates == 7
    assert reading.left_out == {OTHER_SPEC: 3, NO_RANKER: 1, NO_FEATURES: 1, UNRIPE: 1}


def test_an_item_without_features_leaves_its_slate_and_the_others_keep_their_places(tmp_path: Path) -> None:
    write(tmp_path, [Slate("s", (11, 12, 13), without_features=(12,)), reaction("s", 13, NOON)])
    examples = read(tmp_path).examples
    assert (examples.item_ids.tolist(), examples.positions.tolist()) == ([11, 13], [1, 3])
    assert (examples.labels.tolist(), examples.group_sizes.tolist()) == ([0, 1], [2])


def test_unripe_slates_are_examples_for_who_asks(tmp_path: Path) -> None:
    write(tmp_path, [Slate("s", (11,))])
    assert not len(read(tmp_path, until=NOON + MINUTE).examples)
    assert len(read(tmp_path, until=NOON + MINUTE, ripe=timedelta(0)).examples) == 1


def test_only_the_period_asked_for_is_read(tmp_path: Path) -> None:
    for days in (-3, -1, 0, 1):
        write(tmp_path, [Slate(f"{days}", (11,), at=NOON + days * DAY)])
    # A file of a day outside the period is not even opened.
    (tmp_path / "impressions" / "date=2026-02-27" / "a.parquet").write_bytes(b"not Parquet")
    reading = read(tmp_path, since=NOON - DAY, until=NOON + DAY)
    assert reading.examples.recommendation_ids.tolist() == ["-1", "0"]


def test_a_lake_without_impressions_has_no_examples(tmp_path: Path) -> None:
    reading = read(tmp_path)
    assert (len(reading.examples), reading.slates, reading.left_out) == (0, 0, {})
    assert reading.examples.features.shape == (0, len(COLUMNS))


def test_the_content_hash_is_that_of_the_records_whatever_files_they_lie_in(tmp_path: Path) -> None:
    records: Sequence[Slate | events_pb2.Event] = [
        *(Slate(f"s{number}", (11, 12, 13), at=NOON + (number % 4) * MINUTE) for number in range(12)),
        *(reaction(f"s{number}", 12, NOON + 5 * MINUTE, "like") for number in range(0, 12, 3)),
    ]
    write(tmp_path / "one", records)
    for place, record in enumerate(reversed(records)):
        write(tmp_path / "many", [record], name=f"{place:03d}")
    one, many = (read(tmp_path / name).examples for name in ("one", "many"))
    compact(tmp_path / "many")
    assert many.content_hash == one.content_hash
    assert read(tmp_path / "many").examples.content_hash == one.content_hash
