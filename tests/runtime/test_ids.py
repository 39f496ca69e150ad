from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.ids import to_int


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_a_decimal_string_is_its_own_number(number: int) -> None:
    assert to_int(str(number)) == number


@given(st.text(max_size=300))
def test_every_string_has_a_stable_id_that_fits_a_signed_column_and_is_not_zero(external: str) -> None:
    first = to_int(external)
    assert first == to_int(external)
    assert 0 < first < 2**63


def test_other_spellings_of_a_number_are_other_ids() -> None:
    assert len({to_int(spelling) for spelling in ("7", "07", "007", " 7", "7.0", "٧", "-7")}) == 7


def test_numbers_too_large_for_a_signed_column_are_hashed() -> None:
    assert to_int(str(2**63)) != 2**63
    assert to_int("0") != 0
