"""Writes down how good the pipeline is, after a change that was meant: python -m tests.trainer.record_accuracy

It takes a minute. Commit the file together with the change, and say in the message what moved and why.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.trainer.accuracy import COMMAND, RECORDED, WAITS, fill_lake, measure

COUNTED, FITTED, HITS, SHARE = 0.002, 0.05, 0.12, 0.3
"""Tolerances: what is only counted is the same everywhere; the others by twice how far seeds lie apart."""


def tolerance(name: str) -> float:
    """Share by which a figure of a fit on another machine may differ."""
    if name in ("co_visitation", "ease"):
        return COUNTED
    if name == WAITS:
        return SHARE
    return HITS if name.endswith("hr@10") else FITTED


def main() -> None:
    """Measures and writes accuracy.json beside the tests."""
    with TemporaryDirectory(prefix="cascade-ml-100k-") as folder:
        found = measure(fill_lake(Path(folder) / "lake"))
    told = {
        "command": COMMAND,
        "tolerances": {name: tolerance(name) for name in found},
        "figures": {name: round(value, 4) for name, value in found.items()},
    }
    RECORDED.write_text(json.dumps(told, indent=2) + "\n")
    print(RECORDED.read_text(), end="")


if __name__ == "__main__":
    # The guard keeps the worker processes of the funnel from recording too.
    main()
