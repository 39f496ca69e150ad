from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.search.typos import SHORTEST, Spellings, one_typo

WORD = st.text("abc", min_size=SHORTEST, max_size=9)


@pytest.mark.parametrize("written", ["comdey", "comedey", "comey", "comady", "comedyy"])
def test_one_error_of_each_kind_is_found_again(written: str) -> None:
    assert one_typo(written, "comedy")
    assert Spellings(["comedy", "western"]).near(written) == "comedy"


@pytest.mark.parametrize("written", ["comedy", "cmedyy", "comedian", "yomedc", ""])
def test_no_error_and_two_errors_are_none(written: str) -> None:
    assert not one_typo(written, "comedy")


def test_short_words_are_too_easily_others() -> None:
    assert Spellings(["heat"]).near("heta") is None


def edited(text: str, data: st.DataObject) -> str:
    at = data.draw(st.integers(0, len(text) - 2))
    letter = data.draw(st.sampled_from("abcd"))
    return data.draw(
        st.sampled_from(
            [
                text[:at] + letter + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + letter + text[at + 1 :],
                text[:at] + text[at + 1] + text[at] + text[at + 2 :],
            ]
        )
    )


@given(text=WORD, others=st.lists(WORD, max_size=5), data=st.data())
@settings(max_examples=300, derandomize=True)
def test_every_text_is_found_with_any_one_typo(text: str, others: list[str], data: st.DataObject) -> None:
    written = edited(text, data)
    if written != text:
        assert one_typo(written, text)
        assert one_typo(text, written)
        near = Spellings([text, *others]).near(written)
        assert near is not None
        assert one_typo(written, near)
