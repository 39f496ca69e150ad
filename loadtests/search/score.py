"""How well sentences are understood: 200 requests over MovieLens-1M against the queries a person wrote for them.

    python -m loadtests.search.score                          # the parser, on both halves
    python -m loadtests.search.score --model native://smollm2 # also the model alone, and both together
    python -m loadtests.search.score --mistakes dev           # what was misunderstood, of one half

The parser was tuned on the half `dev`. `test` was written after the parser was finished, and was only ever scored.
What the sentences are taken to mean: early, mid and late are the years 0-3, 4-6 and 7-9 of a decade; "before 1970" ends
with 1969 and "until 1970" with 1970; "around 1975" is two years to either side; several genres are all wanted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtests.search.parsers import Parser, parsers_of
from services.gateway.search import Query

REQUESTS = Path(__file__).with_name("requests.jsonl")
FIELDS = ("genres", "not_genres", "years", "titles", "sort", "n")
Pair = tuple[str, object]


@dataclass(frozen=True, slots=True)
class Request:
    """A sentence, and the query that a person wrote for it."""

    split: str
    kind: str
    text: str
    expected: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Score:
    """Of R requests."""

    exact: Mapping[str, float]
    """Share of requests with exactly the expected value, by field and for "all" fields together."""
    precision: float
    """Share of found (field, value) pairs that were expected."""
    recall: float
    """Share of expected pairs that were found."""

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def read_requests(file: Path = REQUESTS) -> list[Request]:
    """The fixed set."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [Request(row["split"], row["kind"], row["request"], row["expected"]) for row in rows]


def fields_of(query: Query) -> dict[str, Any]:
    """A query in the form of the expected ones."""
    years = None if query.years is None else [query.years.first, query.years.last]
    return {
        "genres": sorted(query.genres),
        "not_genres": sorted(query.not_genres),
        "years": years,
        "titles": sorted(query.like),
        "sort": query.sort,
        "n": query.n,
    }


def pairs_of(fields: Mapping[str, Any]) -> set[Pair]:
    """(field, value) pairs; the ends of a range of years are two."""
    pairs: set[Pair] = {
        (name, value) for name in ("genres", "not_genres", "titles") for value in fields.get(name) or ()
    }
    first, last = fields.get("years") or (None, None)
    single = {"from": first, "to": last, "sort": fields.get("sort"), "n": fields.get("n")}
    return pairs | {(name, value) for name, value in single.items() if value is not None}


def score(requests: Sequence[Request], found: Sequence[Mapping[str, Any]]) -> Score:
    """How what was found compares with what was expected."""
    hits = dict.fromkeys((*FIELDS, "all"), 0)
    right = said = expected = 0
    for request, fields in zip(requests, found, strict=True):
        same = {name: (fields.get(name) or None) == (request.expected.get(name) or None) for name in FIELDS}
        for name in FIELDS:
            hits[name] += same[name]
        hits["all"] += all(same.values())
        wanted, got = pairs_of(request.expected), pairs_of(fields)
        right, said, expected = right + len(wanted & got), said + len(got), expected + len(wanted)
    count = max(1, len(requests))
    return Score({name: hit / count for name, hit in hits.items()}, right / max(1, said), right / max(1, expected))


async def ask_all(parser: Parser, requests: Sequence[Request]) -> list[dict[str, Any]]:
    """What a parser makes of the requests, one after the other."""
    return [fields_of(await parser(request.text)) for request in requests]


def table_of(scores: Mapping[tuple[str, str], Score]) -> Table:
    """Scores by (parser, half), as a table."""
    table = Table(title="Requests understood")
    for column in ("parser", "half", "all fields", *FIELDS, "precision", "recall", "F1"):
        table.add_column(column, justify="left" if column in ("parser", "half") else "right")
    for (name, half), result in scores.items():
        shares = [f"{result.exact[column]:.0%}" for column in ("all", *FIELDS)]
        table.add_row(name, half, *shares, *(f"{value:.3f}" for value in (result.precision, result.recall, result.f1)))
    return table


def mistakes(requests: Sequence[Request], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each request that was misunderstood."""
    return [
        f"{request.kind}: {request.text}\n    expected {sorted(map(str, pairs_of(request.expected)))}\n"
        f"    found    {sorted(map(str, pairs_of(fields)))}"
        for request, fields in zip(requests, found, strict=True)
        if pairs_of(request.expected) != pairs_of(fields)
    ]


async def main(model: str | None, show: str | None, data: Path) -> None:
    """Scores every parser on both halves and prints the table."""
    console, requests = Console(width=140), read_requests()
    scores: dict[tuple[str, str], Score] = {}
    async with parsers_of(model, data) as parsers:
        for name, parser in parsers.items():
            for half in ("dev", "test"):
                part = [request for request in requests if request.split == half]
                found = await ask_all(parser, part)
                scores[name, half] = score(part, found)
                if show == half:
                    console.print(f"[bold]{name}, {half}[/bold]", *mistakes(part, found), sep="\n", markup=False)
    console.print(table_of(scores))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", help="a backend's URL, such as native://smollm2")
    arguments.add_argument("--mistakes", choices=("dev", "test"), help="list what was misunderstood of one half")
    arguments.add_argument("--data", type=Path, default=Path(".data/raw"), help="where MovieLens-1M is, or is put")
    given = arguments.parse_args()
    asyncio.run(main(given.model, given.mistakes, given.data))
