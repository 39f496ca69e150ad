from __future__ import annotations

from services.gateway.search import parse
from tests.gateway.search.small_catalog import vocabulary


def test_people_of_the_catalog_are_found_by_their_full_names() -> None:
    query = parse("comedies directed by agnès varda", vocabulary("Agnès Varda", "Cher"))
    assert query.people == ("Agnès Varda",)
    assert query.genres == ("Comedy",)
    assert query.text_left == ""


def test_nobody_is_invented() -> None:
    assert parse("comedies by Agnès Varda", vocabulary()).people == ()
    assert parse("comedies by Agnès Varda", vocabulary()).text_left == "Agnès Varda"
