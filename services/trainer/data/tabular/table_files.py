"""CSV and Parquet files, read block by block: no more of a file is in memory than a block.

    table = open_table(Path("interactions.csv.gz"))
    for block in table.blocks(["user", "sku"], rejects):
        block.frame, block.lines

A file of any size has rows that are not rows. Those of CSV are told to `rejects` by their line, and reading goes on.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.runtime.errors import SettingsError
from services.trainer.data.tabular.rejects import Rejects

BLOCK_BYTES = 8 << 20
"""Of text read at a time."""
BLOCK_ROWS = 250_000
"""Of Parquet read at a time."""
LONGEST_LINE = 64 << 20
"""Bytes without a line's end after which a file is no text."""
DELIMITERS = ",\t;|"
"""Tried on the first line; the most frequent one is taken."""
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a file."""

    frame: pl.DataFrame
    """The columns asked for: bytes from CSV, anything from Parquet."""
    lines: NDArray[np.int64]
    """(N,) where each row stands, from 1, a CSV's header included."""


class TableFile(Protocol):
    """A file with columns."""

    @property
    def columns(self) -> list[str]:
        """Their names, in order."""

    def blocks(self, columns: Sequence[str], rejects: Rejects) -> Iterator[Block]:
        """Every row, in order, with these columns. SettingsError when the file turns out to be damaged."""


def open_table(path: Path, delimiter: str = "", header: bool = True, whole: bool = False) -> TableFile:
    """A file, by its first bytes; CSV may be compressed (gzip, bz2, zstd), and its delimiter is guessed if not given.

    Without a header columns are called 1, 2, and so on. `whole` reads the file at once, which lets values hold line
    ends. SettingsError when it is empty or cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not start:
        raise SettingsError(f"{path} is empty: there is nothing to import.")
    try:
        return ParquetTable(path) if start == b"PAR1" else CsvTable(path, delimiter, header, whole)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


class ParquetTable:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with pq.ParquetFile(path) as file:
            self.columns: list[str] = file.schema_arrow.names

    def blocks(self, columns: Sequence[str], rejects: Rejects) -> Iterator[Block]:
        """Every row; Parquet has no rows that are none."""
        first = 1
        try:
            with pq.ParquetFile(self._path) as file:
                for batch in file.iter_batches(BLOCK_ROWS, columns=list(columns)):
                    yield Block(_frame(pa.Table.from_batches([batch])), first + np.arange(batch.num_rows))
                    first += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(self._path, error) from error


class CsvTable:
    """A text file of delimited columns."""

    def __init__(self, path: Path, delimiter: str = "", header: bool = True, whole: bool = False) -> None:
        self._path, self._header, self._whole = path, header, whole
        with pa.input_stream(path, compression="detect") as stream:
            start: bytes = stream.read(1 << 16)
        if start.startswith(_OTHER_ENCODINGS):
            raise SettingsError(f"{path} is UTF-16; save it as UTF-8.")
        if not start.strip():
            raise SettingsError(f"{path} is empty: there is nothing to import.")
        line = start.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r")
        self._delimiter = delimiter or max(DELIMITERS, key=line.count)
        names = [name.strip() for name in next(csv.reader([line], delimiter=self._delimiter))]
        self.columns: list[str] = names if header else [str(place) for place in range(1, len(names) + 1)]

    def blocks(self, columns: Sequence[str], rejects: Rejects) -> Iterator[Block]:
        """Every row; lines with another number of fields than the first, or with a quote left open, are rejected."""
        try:
            line = 1
            for text in self._texts():
                count = text.count(b"\n") + (not text.endswith(b"\n"))
                if line == 1:
                    text = text.removeprefix(b"\xef\xbb\xbf")
                    if self._header:
                        # The end of the line stays, so that lines keep their numbers.
                        text = text[text.find(b"\n") :] if b"\n" in text else b""
                if b'"' in text and not self._whole:
                    text = self._without_open_quotes(text, line, rejects)
                if text.strip():
                    yield self._block(text, line, columns, rejects)
                line += count
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(self._path, error) from error

    def _texts(self) -> Iterator[bytes]:
        """Whole lines, about BLOCK_BYTES at a time."""
        rest = b""
        with pa.input_stream(self._path, compression="detect") as stream:
            if self._whole:
                yield stream.read()
                return
            while read := stream.read(BLOCK_BYTES):
                end = read.rfind(b"\n") + 1
                if end:
                    yield rest + read[:end]
                    rest = read[end:]
                else:
                    rest += read
                if len(rest) > LONGEST_LINE:
                    raise SettingsError(f"{self._path} is no text: it has a line of more than {LONGEST_LINE:,} bytes.")
        if rest:
            yield rest

    def _without_open_quotes(self, text: bytes, first: int, rejects: Rejects) -> bytes:
        """An open quote would swallow the lines that follow: its line becomes an empty one."""
        lines = text.split(b"\n")
        for place, line in enumerate(lines):
            if line.count(b'"') % 2:
                rejects.add(self._path, first + place, "a quote is left open", line.decode("utf-8", "replace"))
                lines[place] = b""
        return b"\n".join(lines)

    def _block(self, text: bytes, first: int, columns: Sequence[str], rejects: Rejects) -> Block:
        bad: list[int] = []

        def refuse(row: pa_csv.InvalidRow) -> str:
            place = first + cast(int, row.number) - 1
            bad.append(place)
            rejects.add(
                self._path, place, f"has {row.actual_columns} fields instead of {row.expected_columns}", row.text
            )
            return "skip"

        # By place: two columns of one name are no error as long as nobody asks for the second.
        places = [str(self.columns.index(name)) for name in columns]
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                block_size=len(text) + 1,
                column_names=[str(place) for place in range(len(self.columns))],
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=self._whole,
                ignore_empty_lines=False,
                invalid_row_handler=refuse,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.binary()), include_columns=list(dict.fromkeys(places))
            ),
        )
        frame = _frame(table).select(pl.col(place).alias(name) for place, name in zip(places, columns, strict=True))
        lines = np.setdiff1d(first + np.arange(len(frame) + len(bad)), bad)
        empty = frame.select(pl.all_horizontal(pl.all() == b"")).to_series().to_numpy()
        return Block(frame.filter(~empty), lines[~empty])


def _frame(table: pa.Table) -> pl.DataFrame:
    return cast(pl.DataFrame, pl.from_arrow(table))


def _unreadable(path: Path, error: Exception) -> SettingsError:
    return SettingsError(f"{path} cannot be read: {str(error).splitlines()[0]}")
