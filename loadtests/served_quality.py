"""python -m loadtests.served_quality: is what REST answers as good as what was measured offline?

A stack of our own serves the champions of a data folder over a lake without the users' last events. Each user is
asked for through REST as of the moment of that event (`at`), once with the re-ranker's rules off and once on, and the
place of the event's item in the answer is compared with its rank in the same funnel without services (protocol P1).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from loadtests.client import Client, connected
from loadtests.simulation.stack import ENVIRONMENT
from models.metrics import hit_rate, ndcg, paired_interval
from services.ingest.bootstrap import fill_online_store
from services.local.stack import local_stack
from services.runtime.errors import CascadeError, Unavailable
from services.runtime.registry import CHAMPION, Registry
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import SNAPSHOT, read_events
from services.trainer.evaluation.champions import known_at_training, served_ranks
from services.trainer.history import build_history
from services.trainer.moment import Moment, moments_before
from services.trainer.progress import Steps, mark_trained
from services.trainer.rollout.aliases import MODELS

RULES = ("DIVERSITY", "GENRE_CAP", "CREATOR_CAP", "FRESHNESS", "EXPLORATION")
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "served, rules off": {f"CASCADE_RERANKER_{rule}__ON": "false" for rule in RULES},
    "served, rules on": {},
}
OFFLINE = "offline"
SHOWN = 10
TOGETHER = 4
"""Questions on their way at a time."""

Ranks = NDArray[np.float64]
"""(U,) place of the target in the list, infinite where it is not on it."""


@contextmanager
def folder_before(data_dir: Path, interactions: Interactions) -> Iterator[Path]:
    """A data folder with the same champions and every event of `interactions` but each user's last."""
    with tempfile.TemporaryDirectory(prefix="cascade-served-") as scratch:
        folder = Path(scratch)
        cut_lake(data_dir / "lake", folder / "lake", interactions)
        registry, copy = Registry.open(data_dir), Registry.open(folder)
        mark_trained(folder, {name: copy.publish(name, registry.resolve(name).folder, CHAMPION) for name in MODELS})
        build_history(folder)
        fill_online_store(folder)
        yield folder


def cut_lake(lake: Path, out: Path, interactions: Interactions) -> None:
    """The lake's tables with only those events that `interactions` holds and that are nobody's last."""
    known = interactions.leave_last(1)
    owners = np.repeat(known.users["user_id"].to_numpy(), np.diff(known.offsets))
    kept = pl.DataFrame({"user_id": owners, "item_id": known.item_ids})
    (out / "events").mkdir(parents=True)
    for name in ("users.parquet", "items.parquet", SNAPSHOT):
        (out / name).write_bytes((lake / name).read_bytes())
    read_events(lake).join(kept, on=["user_id", "item_id"], how="semi", maintain_order="left").write_parquet(
        out / "events" / "before.parquet"
    )


class Names:
    """External ids, as REST spells users and items."""

    def __init__(self, lake: Path) -> None:
        self.users, self.items = (
            dict(pl.read_parquet(lake / f"{kind}s.parquet").select(f"{kind}_id", "external_id").iter_rows())
            for kind in ("user", "item")
        )


async def served(data_dir: Path, environment: Mapping[str, str], moments: Sequence[Moment]) -> Ranks:
    """Ranks by a stack on a data folder, with these settings."""
    names = Names(data_dir / "lake")
    with (data_dir / "stack.log").open("ab") as log:
        async with (
            local_stack(data_dir, {**ENVIRONMENT, **environment}, output=log, deadline_s=180.0) as stack,
            connected(stack.urls["gateway"], data_dir) as client,
        ):
            return await asked(client, names, moments)


async def asked(client: Client, names: Names, moments: Sequence[Moment]) -> Ranks:
    """The place of every moment's target in the answer through REST. Unavailable when an answer is not fresh."""
    ranks = np.full(len(moments), np.inf)
    waiting = list(enumerate(moments))

    async def ask() -> None:
        while waiting:
            place, moment = waiting.pop()
            body = {"user_id": names.users[moment.user.user_id], "n": SHOWN, "at": moment.at_ms, "deadline_ms": 2000}
            async with client.session.post(f"{client.url}/v1/recommendations", json=body) as response:
                told = json.loads(await response.read())
            if response.status != 200 or told["served_by"] != "fresh":
                raise Unavailable(f"A recommendation was answered with {response.status}: {told.get('degraded', told)}")
            shown = [card["item_id"] for card in told["items"]]
            if names.items[moment.target] in shown:
                ranks[place] = shown.index(names.items[moment.target]) + 1

    await asyncio.gather(*(ask() for _ in range(TOGETHER)))
    return ranks


def compared(found: Mapping[str, Ranks]) -> dict[str, dict[str, float]]:
    """HR@10 and NDCG@10 with one standard error, and for what is served the difference to offline with its interval."""
    told: dict[str, dict[str, float]] = {}
    for name, ranks in found.items():
        told[name] = {}
        for metric, of in (("hr@10", hit_rate), ("ndcg@10", ndcg)):
            mine, offline = of(ranks, SHOWN), of(found[OFFLINE], SHOWN)
            error = float(mine.std(ddof=1) / np.sqrt(mine.size))
            told[name] |= {metric: float(mine.mean()), f"{metric}_se": error}
            if name != OFFLINE:
                gap = paired_interval(mine, offline)
                told[name] |= {f"{metric}_{part}": getattr(gap, part) for part in ("mean", "low", "high")}
    return told


def table(told: Mapping[str, Mapping[str, float]], users: int) -> Table:
    """For a person."""
    made = Table(title=f"P1 offline and through REST, {users} users", title_justify="left")
    for heading in ("", "HR@10 ± SE", "difference", "NDCG@10 ± SE", "difference"):
        made.add_column(heading, justify="left" if not heading else "right")
    for name, of in told.items():
        cells = []
        for metric in ("hr@10", "ndcg@10"):
            cells.append(f"{of[metric]:.4f} ± {of[f'{metric}_se']:.4f}")
            gap = "{:+.4f} [{:+.4f}, {:+.4f}]".format(
                *(of.get(f"{metric}_{part}", 0) for part in ("mean", "low", "high"))
            )
            cells.append("" if name == OFFLINE else gap)
        made.add_row(name, *cells)
    return made


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path(".data"), help="a folder with published models")
    parser.add_argument("--users", type=int, default=2000, help="users asked for, drawn at random; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None, help="where the figures are written too")
    options = parser.parse_args()
    console = Console()
    try:
        found = measured(options.data_dir, options.users, options.seed, Steps(console))
    except CascadeError as error:
        console.print(f"[red]{error.sentence}")
        sys.exit(2)
    told = compared(found)
    console.print(table(told, found[OFFLINE].size))
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=2))


def measured(data_dir: Path, users: int, seed: int, steps: Steps) -> dict[str, Ranks]:
    """Ranks offline and by each of SETTINGS, of the same users."""
    registry = Registry.open(data_dir)
    interactions = known_at_training(registry, data_dir / "lake")
    moments = _sample(moments_before(interactions, [1]), users, seed)
    with steps.step(f"offline: {len(moments):,} users") as advance, tempfile.TemporaryDirectory() as scratch:
        kind = registry.resolve("ranker").manifest.kind
        ranks = served_ranks(registry, interactions, Path(scratch), advance, moments).funnel[kind]
        found = {OFFLINE: ranks}
    with steps.step("a stack's data without the last events"):
        stack = ExitStack()
        folder = stack.enter_context(folder_before(data_dir, interactions))
    with stack:
        for name, environment in SETTINGS.items():
            with steps.step(name):
                found[name] = asyncio.run(served(folder, environment, moments))
    return found


def _sample(moments: list[Moment], users: int, seed: int) -> list[Moment]:
    if not 0 < users < len(moments):
        return moments
    chosen = np.random.default_rng(seed).choice(len(moments), users, replace=False)
    return [moments[place] for place in sorted(chosen.tolist())]


if __name__ == "__main__":
    main()
