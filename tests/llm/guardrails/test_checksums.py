"""Published numbers pass, and a changed digit does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.guardrails.checksums import luhn, mod97


@pytest.mark.parametrize("number", ["4111111111111111", "378282246310005", "5555555555554444", "79927398713"])
def test_published_card_numbers_pass(number: str) -> None:
    assert luhn(number)


# The examples of the SWIFT registry.
@pytest.mark.parametrize(
    "iban", ["DE89370400440532013000", "GB29NWBK60161331926819", "NO9386011117947", "fr1420041010050500013M02606"]
)
def test_published_account_numbers_pass(iban: str) -> None:
    assert mod97(iban)


@given(place=st.integers(0, 15), by=st.integers(1, 9))
def test_one_wrong_digit_never_passes(place: int, by: int) -> None:
    card, iban = "4111111111111111", "DE89370400440532013000"
    wrong = str((int(card[place]) + by) % 10)
    assert not luhn(card[:place] + wrong + card[place + 1 :])
    place += 4
    wrong = str((int(iban[place]) + by) % 10)
    assert not mod97(iban[:place] + wrong + iban[place + 1 :])
