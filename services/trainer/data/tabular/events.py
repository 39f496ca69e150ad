"""Interactions on their way into the lake: scratch files of a block each, then one pass of DuckDB, which sorts on disk.

draft = EventDraft(scratch)
draft.add(user, item, us, value, rows)              # for each block
draft.place()                                       # duplicates gone, ties spread
draft.write(folder / "events" / "shop.parquet", "shop", shift_us)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import duckdb
import polars as pl

from services.runtime.ids import to_int

MEMORY = "1GB"
"""What DuckDB may hold; beyond it, it spills into the scratch folder."""
TIE_US = 1000
"""Between events of one user at one moment: histories are kept in milliseconds and would lose a smaller distance."""

_KEPT = """
    SELECT user_id, item_id, us, arg_max(value, row) AS value, min(row) AS row
    FROM read_parquet('{scratch}/events-*.parquet') GROUP BY user_id, item_id, us
"""
"""One event for each user, item and moment: at the place of the first row, with the value of the last that has one."""
_MOMENTS = """
    SELECT user_id, us, count(*) AS ties, lead(us) OVER (PARTITION BY user_id ORDER BY us) - us AS gap
    FROM kept GROUP BY user_id, us
"""
_PLACED = """
    SELECT user_id, item_id, value, row,
           us + greatest(1, least({tie_us}, coalesce(gap // ties, {tie_us})))
              * (row_number() OVER (PARTITION BY user_id, us ORDER BY row) - 1) AS us
    FROM kept JOIN moments USING (user_id, us)
"""
_EVENT = """
    SELECT '{dataset}-' || row AS event_id, 'watch' AS type, user_id::UBIGINT AS user_id, item_id::UBIGINT AS item_id,
           make_timestamp(us + {shift_us})::TIMESTAMPTZ AS ts, value::FLOAT AS value, NULL::VARCHAR AS session_id,
           NULL::VARCHAR AS recommendation_id, NULL::INTEGER AS position, '{dataset}' AS source
    FROM placed ORDER BY us, user_id, row
"""


@dataclass(slots=True)
class EventDraft:
    """Events that are not in the lake yet."""

    scratch: Path
    """An empty folder, the caller's."""
    rows: int = 0
    """Added so far."""
    _blocks: int = 0
    _database: duckdb.DuckDBPyConnection = field(init=False)

    def __post_init__(self) -> None:
        self._database = duckdb.connect(self.scratch / "events.duckdb")
        self._database.execute(f"SET memory_limit = '{MEMORY}'")
        self._database.execute(f"SET temp_directory = '{_quoted(self.scratch / 'spilled')}'")
        self._database.execute("SET preserve_insertion_order = false")
        self._database.execute("SET TimeZone = 'UTC'")

    def add(self, frame: pl.DataFrame) -> None:
        """Columns user, item (external ids), us (microseconds since 1970), value (or null) and row (its number)."""
        self._blocks += 1
        self.rows += len(frame)
        columns = [frame["us"], frame["value"].cast(pl.Float32), frame["row"]]
        for role in ("user", "item"):
            spelled = frame[role].unique()
            # Signed, as every store of the house has them; ids are below 2**63.
            numbers = pl.Series([to_int(external) for external in spelled.to_list()], dtype=pl.Int64)
            ids = pl.DataFrame({f"{role}_id": numbers, "external_id": spelled})
            ids.write_parquet(self.scratch / f"{role}s-{self._blocks:06}.parquet")
            columns.append(frame[role].replace_strict(spelled, numbers).rename(f"{role}_id"))
        pl.DataFrame(columns).write_parquet(self.scratch / f"events-{self._blocks:06}.parquet")

    def place(self) -> int:
        """Drops duplicates and spreads ties in the order of rows; returns the newest moment."""
        scratch = _quoted(self.scratch)
        for name, query in (
            ("kept", _KEPT.format(scratch=scratch)), ("moments", _MOMENTS), ("placed", _PLACED.format(tie_us=TIE_US)),
        ):  # fmt: skip
            self._database.execute(f"CREATE TABLE {name} AS {query}")
        for name in ("kept", "moments"):
            self._database.execute(f"DROP TABLE {name}")
        return self._number("SELECT max(us) FROM placed")

    @property
    def kept(self) -> int:
        """Events after `place`."""
        return self._number("SELECT count(*) FROM placed")

    def write(self, path: Path, dataset: str, shift_us: int) -> None:
        """The events in the lake's layout, oldest first. `dataset` holds no quotes."""
        query = _EVENT.format(dataset=dataset, shift_us=shift_us)
        self._database.execute(f"COPY ({query}) TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION zstd)")

    def entities(self, role: str) -> pl.DataFrame:
        """Who or what has events: <role>_id, external_id and first_us, sorted by id."""
        files = f"{_quoted(self.scratch)}/{role}s-*.parquet"
        found = self._database.sql(f"""
            WITH ids AS (SELECT DISTINCT {role}_id, external_id FROM read_parquet('{files}')),
                 firsts AS (SELECT {role}_id, min(us) AS first_us FROM placed GROUP BY {role}_id)
            SELECT {role}_id::UBIGINT AS {role}_id, external_id, first_us FROM ids JOIN firsts USING ({role}_id)
            ORDER BY {role}_id, external_id
        """)
        return cast(pl.DataFrame, pl.from_arrow(found.to_arrow_table()))

    def close(self) -> None:
        """Lets go of the scratch folder."""
        self._database.close()

    def _number(self, query: str) -> int:
        ((number,),) = self._database.execute(query).fetchall()
        return int(number)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
