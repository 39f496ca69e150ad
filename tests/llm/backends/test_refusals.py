"""What an upstream's refusal becomes, whatever its body looks like."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from services.llm.backends.refusals import MAX_SENTENCE, refusal, seconds_of
from services.runtime.errors import InvalidArgument, Unavailable


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b'{"error": 5}', b'{"error": {"message": null}}'])
def test_a_refusal_in_another_shape_still_has_a_sentence(body: bytes) -> None:
    error = refusal("host:1", 500, {}, body)
    assert isinstance(error, Unavailable)
    assert error.sentence.startswith("host:1 failed with 500: ")


@pytest.mark.parametrize(
    "body",
    [b'{"error": {"message": "too hot", "param": "top_p"}}', b'{"object":"error","message":"too hot","param":"top_p"}',
     b'{"error": "too hot"}'],
)  # fmt: skip
def test_the_upstreams_own_sentence_is_passed_on(body: bytes) -> None:
    error = refusal("host:1", 400, {}, body)
    assert isinstance(error, InvalidArgument)
    assert error.sentence == "host:1: too hot"
    assert error.field == ("top_p" if b"param" in body else None)


def test_a_long_sentence_is_cut() -> None:
    error = refusal("host:1", 400, {}, b'{"error": {"message": "%s"}}' % (b"x" * 10_000))
    assert len(error.sentence) < MAX_SENTENCE + 20


def test_retry_after_is_seconds_or_a_date() -> None:
    assert seconds_of("1.5") == 1.5
    assert seconds_of("-3") == seconds_of("nan") == 0.0
    assert 50 < (seconds_of(formatdate(time.time() + 60, usegmt=True)) or 0) <= 60
    assert seconds_of("soon") is seconds_of(None) is None
