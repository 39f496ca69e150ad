"""The trainer's command line.

Commands import what they need when they run: torch and polars take seconds, which a start that finds everything done,
and a service that waits for its hour, need not pay.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.runtime.settings import read_settings
from services.trainer.progress import Steps
from services.trainer.settings import TrainerSettings

if TYPE_CHECKING:
    from services.trainer.data.lake import Snapshot

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

DataDir = Annotated[Path, typer.Option(envvar="CASCADE_DATA_DIR", help="Folder for everything kept on disk.")]
Dataset = Annotated[str, typer.Option(help="ml-1m, ml-100k or synthetic.")]
Seed = Annotated[int, typer.Option(help="Makes every draw repeatable.")]
RegistryUrl = Annotated[str, typer.Option(envvar="CASCADE_REGISTRY_URL", help="MLflow server; SQLite when empty.")]


@app.command()
def fetch(data_dir: DataDir = Path(".data"), dataset: Dataset = "ml-1m") -> None:
    """Fetch and verify a data set and fill the lake with it."""
    from services.trainer.data.imports import import_data

    show_snapshot(import_data(dataset, data_dir))


@app.command()
def synthesize(
    data_dir: DataDir = Path(".data"),
    users: Annotated[int, typer.Option(min=1)] = 10_000,
    items: Annotated[int, typer.Option(min=1)] = 5_000,
    events: Annotated[int, typer.Option(min=1)] = 1_000_000,
    seed: Seed = 0,
) -> None:
    """Fill the lake with a synthetic catalog of any size: for load and scale, never for quality."""
    from services.trainer.data.imports import SYNTHETIC, import_data
    from services.trainer.data.synthetic import SyntheticConfig

    config = SyntheticConfig(users=users, items=items, events=events, seed=seed)
    show_snapshot(import_data(SYNTHETIC, data_dir, config))


@app.command()
def train(
    data_dir: DataDir = Path(".data"),
    dataset: Dataset = "ml-1m",
    seed: Seed = 0,
    test_users: Annotated[int, typer.Option(min=0, help="Users P1 is measured on at the end; 0 for all.")] = 2000,
    registry_url: RegistryUrl = "",
) -> None:
    """Fetch, replay, fit, evaluate and publish."""
    from services.trainer.pipeline import Plan
    from services.trainer.pipeline import train as train_all

    steps = Steps()
    train_all(Plan(data_dir, dataset, seed, test_users, registry_url), steps)
    show_models(steps.console, Registry.open(data_dir, registry_url))


@app.command()
def evaluate(data_dir: DataDir = Path(".data"), seed: Seed = 0, registry_url: RegistryUrl = "") -> None:
    """P1 for the served funnel and its peers, P2 for both rankers, on every user."""
    from services.trainer.evaluation import evaluate as evaluate_all
    from services.trainer.pipeline import Plan

    evaluate_all(Plan(data_dir, seed=seed, registry_url=registry_url), Steps())


@app.command()
def bootstrap() -> None:
    """Train where nothing is published yet, fill an empty online store, and exit: the first step of a stack."""
    from services.trainer.bootstrap import bootstrap as do_bootstrap

    do_bootstrap(read_settings(TrainerSettings), Steps())


@app.command()
def serve() -> None:
    """Stay, and train again whenever the champion has reached its age."""
    from services.runtime.server import run
    from services.trainer.service import SERVICE

    run(SERVICE)


def show_snapshot(snapshot: Snapshot) -> None:
    """What the lake was filled with."""
    Console().print(
        f"{snapshot.dataset}: {snapshot.users:,} users, {snapshot.items:,} items, {snapshot.events:,} events "
        f"(content {snapshot.content_hash[:12]})"
    )


def show_models(console: Console, registry: Registry) -> None:
    """The serving versions and what was measured of them."""
    table = Table(title="Published models")
    for heading in ("model", "version", "serves as", "HR@10", "NDCG@10", "HR@200"):
        table.add_column(heading)
    for name, alias in (
        ("two_tower", CHAMPION), ("co_visitation", CHAMPION), ("popularity", CHAMPION),
        ("ranker", CHAMPION), ("ranker", CHALLENGER),
    ):  # fmt: skip
        found = registry.resolve(name, alias)
        scope = "funnel" if name == "ranker" else "retrieval"
        figures = [found.manifest.metrics.get(f"{scope}_{metric}") for metric in ("hr@10", "ndcg@10", "hr@200")]
        cells = ["" if figure is None else f"{figure:.4f}" for figure in figures]
        kind = f" ({found.manifest.kind})" if name == "ranker" else ""
        table.add_row(name + kind, found.version, alias, *(cells if name in ("two_tower", "ranker") else ()))
    console.print(table)
    console.print(
        "[dim]Protocol P1; beside two_tower stands retrieval as a whole: the merged candidates of all sources."
    )
