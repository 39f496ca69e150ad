"""A shop's log that knows nothing of films: string ids, no ties, no attributes, many who came once."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADER = ("customer_id", "sku", "created_at")


def walks(users: int, items: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """(customer, article, ISO 8601 moment) in random order. The next article bought mostly stands one or two behind the
    last; a fifth of the customers bought one thing only.
    """
    draws = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        count = 1 if user % 5 == 0 else int(draws.integers(2, 25))
        place, moment = int(draws.integers(items)), 1.7e9 + float(draws.random()) * 1e7
        for _ in range(count):
            rows.append((f"c-{user:04}@shop", f"SKU/{place:04}é", datetime.fromtimestamp(moment, UTC).isoformat()))
            step = int(draws.integers(1, 3)) if draws.random() < 0.85 else int(draws.integers(items))
            place, moment = (place + step) % items, moment + 1.0 + float(draws.random()) * 86_400
    return [rows[place] for place in draws.permutation(len(rows))]


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """The file, written."""
    with path.open("w", newline="", encoding="utf-8") as file:
        written = csv.writer(file)
        written.writerow(header)
        written.writerows(rows)
    return path
