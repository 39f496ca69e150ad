"""What is accepted from the log and what is not."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.records import Malformed, read, read_batch
from services.ingest.versions import UPCASTERS
from services.pb import events_pb2
from tests.ingest.log import SCHEMA, change, event, impression

NOW_US = 4_000_000_000_000_000
"""Later than every event of these tests."""


@dataclass
class Raw:
    value: bytes | None
    topic: str = "events"
    headers: Any = SCHEMA
    key: bytes | None = b"7"
    partition: int = 2
    offset: int = 5
    rest: dict[str, Any] = field(default_factory=dict)


def test_a_valid_event_comes_out_as_it_went_in() -> None:
    sent = event(value=4.5, position=3, properties={"page": "home"})
    assert read("events", SCHEMA, sent.SerializeToString(), NOW_US) == sent


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"event_id": ""}, "event_id"),
        ({"event_id": "x" * 257}, "event_id"),
        ({"kind": "stare"}, "type"),
        ({"user_id": 0}, "user_id"),
        ({"item_id": 0}, "item_id"),
        ({"user_id": 1 << 63}, "user_id"),
        ({"ts_us": 0}, "ts_us"),
        ({"ts_us": -1}, "ts_us"),
        ({"ts_us": 253_370_764_800_000_000}, "ts_us"),
        ({"value": math.nan}, "value"),
        ({"value": math.inf}, "value"),
        ({"position": 0}, "position"),
    ],
)
def test_a_wrong_event_is_named_by_its_field(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Malformed, match=named):
        read("events", SCHEMA, event(**fields).SerializeToString(), NOW_US)


@pytest.mark.parametrize("headers", [(), (("schema", b"2"),), (("schema", b"1"), ("schema", b"1"))])
def test_another_schema_is_not_guessed_at(headers: Any) -> None:
    with pytest.raises(Malformed, match="schema"):
        read("events", headers, event().SerializeToString(), NOW_US)


@pytest.mark.parametrize("name", ["scores", "propensities", "features"])
def test_an_impression_must_have_a_number_for_each_item(name: str) -> None:
    short = impression("r", [1, 2])
    setattr(short, name, getattr(short, name)[:-4])
    with pytest.raises(Malformed, match=name):
        read("impressions", SCHEMA, short.SerializeToString(), NOW_US)


def test_a_catalog_change_must_change_something() -> None:
    with pytest.raises(Malformed, match="change is missing"):
        read("catalog", SCHEMA, change().SerializeToString(), NOW_US)
    with pytest.raises(Malformed, match="delete_item"):
        read("catalog", SCHEMA, change(delete_item=0).SerializeToString(), NOW_US)


def test_a_bad_record_keeps_its_bytes_and_spares_its_neighbours() -> None:
    good = event()
    batch = read_batch([Raw(b"\xff\x00junk"), Raw(good.SerializeToString()), Raw(None)], NOW_US)
    assert batch.events == [good]
    assert [letter.message.value for letter in batch.rejected] == [b"\xff\x00junk", b""]
    letter = batch.rejected[0].message
    assert (letter.topic, letter.partition, letter.offset) == ("events", 2, 5)
    assert letter.key == b"7"
    assert "not a Event" in letter.reason


@given(st.binary(max_size=200), st.sampled_from(["events", "impressions", "catalog", "elsewhere"]))
def test_no_bytes_raise_anything_else(value: bytes, topic: str) -> None:
    with suppress(Malformed):
        read(topic, SCHEMA, value, NOW_US)


def test_an_older_version_that_is_known_is_read_as_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = event()
    old = events_pb2.Event()
    old.CopyFrom(sent)
    old.type = "play"

    def renamed(topic: str, value: bytes) -> bytes:
        message = events_pb2.Event.FromString(value)
        message.type = {"play": "click"}.get(message.type, message.type)
        return message.SerializeToString()

    monkeypatch.setitem(UPCASTERS, b"0", renamed)
    assert read("events", [("schema", b"0")], old.SerializeToString(), NOW_US) == sent
    with pytest.raises(Malformed, match="type must be"):
        read("events", SCHEMA, old.SerializeToString(), NOW_US)


def test_an_old_record_that_cannot_be_made_a_current_one_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(topic: str, value: bytes) -> bytes:
        raise ValueError("Version 0 had no items.")

    monkeypatch.setitem(UPCASTERS, b"0", refused)
    with pytest.raises(Malformed, match="Version 0 had no items"):
        read("events", [("schema", b"0")], b"", NOW_US)


def test_an_unknown_version_is_told_with_those_that_are_read() -> None:
    with pytest.raises(Malformed, match=r"must be 1, not \[b'7'\]"):
        read("events", [("schema", b"7")], event().SerializeToString(), NOW_US)
