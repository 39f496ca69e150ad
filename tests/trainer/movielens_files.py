"""Tiny MovieLens folders in both layouts: the same users, items and ratings in GroupLens' own files and the wheel's."""

from __future__ import annotations

from pathlib import Path

GENRES_ROW = {"Comedy": 5, "Drama": 8, "unknown": 0}


def write_originals_100k(folder: Path) -> None:
    """u.data, u.item and u.user: Latin-1, no header, a flag per genre."""
    folder.mkdir(parents=True)
    (folder / "u.data").write_text("1\t10\t5\t100\n1\t20\t3\t100\n2\t10\t4\t90\n")
    rows = [("10", "Café Müller (1994)", "Comedy"), ("20", "Plain", "unknown")]
    lines = []
    for number, name, genre in rows:
        flags = ["1" if place == GENRES_ROW[genre] else "0" for place in range(19)]
        lines.append("|".join([number, name, "01-Jan-1994", "", "http://example.com", *flags]))
    (folder / "u.item").write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    (folder / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|T8H1N\n")


def write_wheel_100k(folder: Path) -> None:
    """ml-100k.inter, .item and .user: UTF-8, tabs, a header."""
    folder.mkdir(parents=True)
    ratings = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (folder / "ml-100k.inter").write_text(ratings + "1\t10\t5\t100\n1\t20\t3\t100\n2\t10\t4\t90\n")
    items = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    (folder / "ml-100k.item").write_text(items + "10\tCafé Müller\t1994\tComedy\n20\tPlain\t\tunknown\n", "utf-8")
    users = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    (folder / "ml-100k.user").write_text(users + "1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\tT8H1N\n")


def write_originals_1m(folder: Path) -> None:
    """ratings.dat, movies.dat and users.dat: Latin-1, `::` between columns."""
    folder.mkdir(parents=True)
    (folder / "ratings.dat").write_text("1::2::5::100\n1::1::3::100\n2::2::4::90\n")
    movies = "1::Toy Story (1995)::Animation|Comedy\n2::Misérables, Les (1995)::Drama\n"
    (folder / "movies.dat").write_bytes(movies.encode("latin-1"))
    (folder / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
