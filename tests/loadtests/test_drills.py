"""The count of events at the end of a drill."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests import lake_ids
from loadtests.client import Client
from loadtests.drills import Count, Finding, Load, Patience, counted, drill

AT_ONCE = Patience(drain=0.0)
Script = list[tuple[int, str] | None]


def lake(folder: Path) -> Path:
    """History right in events/, live files in folders below; e-2 is there twice."""
    events = folder / "lake" / "events"
    for name, ids in (
        ("history.parquet", ["h-1"]),
        ("date=1/a.parquet", ["e-1", "e-2"]),
        ("date=2/b.parquet", ["e-2"]),
    ):
        (events / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"event_id": ids}), events / name)
    return folder / "lake"


def test_live_events_are_every_occurrence_and_no_history(tmp_path: Path) -> None:
    assert sorted(lake_ids.live_event_ids(lake(tmp_path))) == ["e-1", "e-2", "e-2"]


def test_the_module_works_as_a_program_handed_to_another_python(tmp_path: Path) -> None:
    lake(tmp_path)
    done = subprocess.run(
        [sys.executable, "-"], input=Path(lake_ids.__file__).read_text(), env={"CASCADE_DATA_DIR": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert sorted(done.stdout.split()) == ["e-1", "e-2", "e-2"]


async def test_accepted_events_are_missing_or_doubled_and_others_do_not_count() -> None:
    async def found() -> Sequence[str]:
        return ["a", "b", "b", "b", "somebody-elses", "somebody-elses"]

    accepted = {"a": "ranker", "b": "ranker", "c": "kafka"}
    assert await counted(accepted, found, AT_ONCE) == Count(Counter(kafka=1), doubled=2)
    assert await counted({"a": "ranker"}, found, AT_ONCE) == Count(Counter(), doubled=0)


async def test_the_lake_gets_time_to_catch_up() -> None:
    readings = iter([[], ["a"], ["a", "b"]])

    async def found() -> Sequence[str]:
        return next(readings)

    assert await counted({"a": "ranker", "b": "ranker"}, found, Patience(drain=30.0)) == Count(Counter(), doubled=0)


class Answers:
    """A client whose recommendations come from a script, the last entry for ever; None never answers."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def recommend(self, user: str) -> tuple[int, dict[str, object]]:
        now = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if now is None:
            await asyncio.Event().wait()
            raise AssertionError
        status, served_by = now
        degraded = [] if served_by == "fresh" else [{"stage": "ranking", "reason": "it does not answer"}]
        return status, {"served_by": served_by, "degraded": degraded}


async def found(script: Script, patience: Patience) -> Finding:
    """A drill on these answers; what was broken is back at once."""
    load = Load(cast(Client, Answers(script)), ["1"], [])
    asking = asyncio.create_task(load.recommendations(0))

    async def nothing() -> None:
        return None

    async def back() -> bool:
        return True

    try:
        return await drill(load, "it", nothing, back, patience)
    finally:
        asking.cancel()


async def test_a_drill_waits_until_answers_are_fresh_again_and_counts_what_came_meanwhile() -> None:
    # The first answer comes before the break and is not counted.
    script: Script = [
        (200, "fallback"),
        (200, "fallback"),
        (200, "fallback"),
        (503, ""),
        (200, "cache"),
        (200, "fresh"),
    ]
    finding = await found(script, Patience(calm=0.0, recovery=30.0, poll=0.005))
    assert finding.seconds < 30.0
    assert (finding.tally.failed, finding.tally.not_fresh, finding.tally.degraded["ranking"]) == (1, 3, 3)


async def test_silence_is_not_recovery() -> None:
    finding = await found([None], Patience(calm=0.0, recovery=0.2, poll=0.005))
    assert finding.seconds == float("inf")
