"""Files as blocks of rows: what a row's line is, and which lines are no rows."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.errors import SettingsError
from services.trainer.data.tabular import table_files
from services.trainer.data.tabular.rejects import Rejects
from services.trainer.data.tabular.table_files import TableFile, open_table


def _rows(table: TableFile, columns: list[str], rejects: Rejects | None = None) -> list[tuple[object, ...]]:
    """(line, values ...) of every row, bytes as text."""
    found: list[tuple[object, ...]] = []
    for block in table.blocks(columns, rejects or Rejects()):
        for line, row in zip(block.lines.tolist(), block.frame.iter_rows(), strict=True):
            found.append((line, *(value.decode() if isinstance(value, bytes) else value for value in row)))
    return found


def _file(folder: Path, content: bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_rows_keep_their_lines_around_what_is_no_row(tmp_path: Path) -> None:
    rejects = Rejects()
    path = _file(tmp_path, b'user,item,ts\na,b,1\n\nc,d\ne,"f,1",3\nh,i,5,6\nj,"k,7\nn,"o ""q""",9\r\np,q,10')
    table = open_table(path)
    assert table.columns == ["user", "item", "ts"]
    assert _rows(table, ["ts", "item"], rejects) == [(2, "1", "b"), (5, "3", "f,1"), (8, "9", 'o "q"'), (9, "10", "q")]
    assert [(reject.line, reject.reason) for reject in rejects.kept] == [
        (7, "a quote is left open"), (4, "has 2 fields instead of 3"), (6, "has 4 fields instead of 3"),
    ]  # fmt: skip


def test_a_file_that_needs_many_blocks_has_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"u{number},i{number % 7}" for number in range(500)]
    lines[123], lines[321] = "u123", ""
    path = _file(tmp_path, ("user,item\n" + "\n".join(lines) + "\n").encode())
    monkeypatch.setattr(table_files, "BLOCK_BYTES", 64)
    rejects = Rejects()
    rows = _rows(open_table(path), ["user", "item"], rejects)
    assert rows == [(place + 2, f"u{place}", f"i{place % 7}") for place in range(500) if place not in (123, 321)]
    assert [reject.line for reject in rejects.kept] == [125]


@settings(max_examples=30)
@given(
    st.lists(st.tuples(*[st.text("ab,;\"' é", max_size=5)] * 2).filter(any), min_size=1, max_size=30),
    st.integers(1, 40),
)
def test_what_pythons_writer_quotes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], block: int
) -> None:
    path = tmp_path_factory.mktemp("quoted") / "log.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("one", "two"), *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_files, "BLOCK_BYTES", block)
        assert _rows(open_table(path, ","), ["one", "two"]) == [
            (line, *row) for line, row in enumerate(rows, 2) if any(row)
        ]


def test_values_may_hold_line_ends_where_the_whole_file_is_read(tmp_path: Path) -> None:
    path = _file(tmp_path, b'id,title\n1,"two\nlines"\n2,one\n')
    assert [row[1:] for row in _rows(open_table(path, whole=True), ["id", "title"])] == [
        ("1", "two\nlines"),
        ("2", "one"),
    ]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_that_of_the_first_line(tmp_path: Path, delimiter: str) -> None:
    path = _file(tmp_path, delimiter.join(["user", "item"]).encode() + b"\n" + delimiter.join(["a", "b"]).encode())
    assert _rows(open_table(path), ["user", "item"]) == [(2, "a", "b")]


def test_a_file_without_a_header_has_numbered_columns(tmp_path: Path) -> None:
    table = open_table(_file(tmp_path, b"196\t242\t3\n186\t302\t3\n"), header=False)
    assert table.columns == ["1", "2", "3"]
    assert _rows(table, ["2"]) == [(1, "242"), (2, "302")]


def test_a_byte_order_mark_is_no_part_of_a_name_and_compression_is_none_of_the_content(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfuser,item\r\na,b\r\n"
    for path in (_file(tmp_path, content), _file(tmp_path, gzip.compress(content), "log.csv.gz")):
        table = open_table(path)
        assert table.columns == ["user", "item"]
        assert _rows(table, ["user"]) == [(2, "a")]


def test_parquet_is_known_by_its_content_and_keeps_its_types(tmp_path: Path) -> None:
    path = tmp_path / "log.data"
    pl.DataFrame({"user": [7, 8], "item": ["a", None]}).write_parquet(path)
    assert _rows(open_table(path), ["user", "item"]) == [(1, 7, "a"), (2, 8, None)]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b"\n\n", "is empty"), (b"\xff\xfeu\x00", "UTF-16"), (b"PAR1 and no more", "cannot be read")],
)
def test_what_cannot_be_read_is_said_with_the_files_name(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(SettingsError, match=rf"log\.csv .*{says}"):
        open_table(_file(tmp_path, content))


def test_a_missing_file_and_a_damaged_archive_are_said_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.csv cannot be read: No such file"):
        open_table(tmp_path / "none.csv")
    with pytest.raises(SettingsError, match=r"log\.csv\.gz cannot be read"):
        open_table(_file(tmp_path, gzip.compress(b"user,item\n" * 99)[:30], "log.csv.gz"))
