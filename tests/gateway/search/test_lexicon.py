from __future__ import annotations

from services.gateway.search.lexicon import sayings_for


def test_a_genre_that_the_catalog_lacks_is_not_said() -> None:
    assert ("scary",) not in sayings_for(["Comedy"]).table


def test_the_catalogs_own_spelling_is_what_is_meant() -> None:
    sayings = sayings_for(["Science Fiction", "Family"])
    assert sayings.table[("scifi",)].genres == ("Science Fiction",)
    assert sayings.table[("robots",)].genres == ("Science Fiction",)
    assert sayings.table[("grandchildren",)].genres == ("Family",)


def test_a_genre_outside_the_table_is_said_by_its_name() -> None:
    assert sayings_for(["Anime Noir"]).table[("anime", "noir")].genres == ("Anime Noir",)


def test_a_typo_is_forgiven_when_the_first_letter_is_right() -> None:
    sayings = sayings_for(["Comedy", "Horror", "Sci-Fi"])
    for written, meant in (("comdey", "Comedy"), ("horor", "Horror"), ("sience fiction", "Sci-Fi")):
        saying = sayings.meant_by(written)
        assert saying is not None
        assert saying.genres == (meant,)
    assert sayings.meant_by("funky") is None
    assert sayings.meant_by("sunny") is None
