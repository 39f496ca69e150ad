"""Numbers that carry a check of themselves."""

from __future__ import annotations

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn(digits: str) -> bool:
    """Whether a card number is possible (ISO/IEC 7812-1): from the right, every second digit counts double."""
    plain = sum(map(int, digits[-1::-2]))
    return (plain + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])) % 10 == 0


def mod97(iban: str) -> bool:
    """Whether an account number is possible (ISO 13616): moved, spelt in digits, it leaves 1."""
    return int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97 == 1
