"""The trainer's command line.

Commands import what they need when they run: torch and polars take seconds, which a start that finds everything done,
and a service that waits for its hour, need not pay.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.runtime.settings import read_settings
from services.trainer.import_command import import_command
from services.trainer.kinds import ALL_RANKERS, DEFAULT_RANKERS, KINDS, kinds_of
from services.trainer.learning.config import Position
from services.trainer.p2.commands import app as p2
from services.trainer.progress import Steps
from services.trainer.rollout.aliases import RETRIEVAL
from services.trainer.settings import TrainerSettings

if TYPE_CHECKING:
    from services.trainer.data.lake import Snapshot
    from services.trainer.retrieval_models import RetrievalFitConfig
    from services.trainer.runs.record import Run

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(p2, name="p2", help="Protocol P2 alone: the table, what features are worth, what sharing is worth.")

DataDir = Annotated[Path, typer.Option(envvar="CASCADE_DATA_DIR", help="Folder for everything kept on disk.")]
Epochs = Annotated[int, typer.Option(min=0, help="Passes of the towers' first fit; 0: the default, which is quick.")]
Moments = Annotated[int, typer.Option(min=0, help="Moments the rankers learn from, drawn at random; 0 for all.")]
Interests = Annotated[
    int, typer.Option(min=1, max=16, envvar="CASCADE_TRAINER_INTERESTS", help="Vectors that stand for a user.")
]
Dataset = Annotated[str, typer.Option(help="ml-1m, ml-100k, synthetic or what was imported; empty: what is there.")]
Seed = Annotated[int, typer.Option(help="Makes every draw repeatable.")]
RegistryUrl = Annotated[str, typer.Option(envvar="CASCADE_REGISTRY_URL", help="MLflow server; SQLite when empty.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(envvar="CASCADE_TRAINER_DEVICE", help="For torch.")]
Processes = Annotated[
    int, typer.Option(min=1, max=64, envvar="CASCADE_TRAINER_PROCESSES", help="Processes that share each torch fit.")
]
Rankers = Annotated[
    str,
    typer.Option(
        envvar="CASCADE_TRAINER_RANKERS",
        help=f"With commas, the champion first, then the challenger: some of {', '.join(KINDS)}.",
    ),
]
Trigger = Annotated[str, typer.Option(help="What is told to have started it.", hidden=True)]
RunId = Annotated[str, typer.Option(help="Id of a new run.", hidden=True)]

REFUSED, NOTHING_TO_LEARN = 3, 4
"""Exit statuses of `learn` beside 0."""


@app.command()
def fetch(data_dir: DataDir = Path(".data"), dataset: Dataset = "") -> None:
    """Fetch and verify a data set and fill the lake with it."""
    from services.trainer.data.imports import import_data

    show_snapshot(import_data(dataset, data_dir))


app.command("import")(import_command)


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
    dataset: Dataset = "",
    seed: Seed = 0,
    epochs: Epochs = 0,
    interests: Interests = 1,
    test_users: Annotated[int, typer.Option(min=0, help="Users P1 is measured on at the end; 0 for all.")] = 1000,
    moments: Moments = 10_000,
    registry_url: RegistryUrl = "",
    rankers: Rankers = DEFAULT_RANKERS,
    int8: Annotated[
        bool, typer.Option(help="Networks serve in eight bits where their lists are no worse by it.")
    ] = False,
    device: Device = "auto",
    processes: Processes = 1,
    trigger: Trigger = "request",
    run_id: RunId = "",
) -> None:
    """A full run: fetch, replay, fit, evaluate, publish and promote."""
    from services.trainer.compute import Resources
    from services.trainer.pipeline import Plan
    from services.trainer.runs.full import train_fully
    from services.trainer.runs.record import Run

    steps, run = Steps(), Run.begin("full", trigger, run_id)
    resources, kinds = Resources(device, processes), kinds_of(rankers)
    retrieval = retrieval_fit(epochs, interests)
    plan = Plan(data_dir, dataset, seed, test_users, registry_url, retrieval, kinds, {}, resources, int8, moments)
    train_fully(plan, steps, run)
    show_models(steps.console, Registry.open(data_dir, registry_url))


@app.command()
def ablation(
    data_dir: DataDir = Path(".data"),
    seed: Seed = 0,
    epochs: Epochs = 0,
    interests: Interests = 1,
    test_users: Annotated[int, typer.Option(min=0, help="Users of the comparison; 0 for all.")] = 0,
) -> None:
    """What each group of the ranker's features is worth: the funnel without it."""
    from services.trainer.ablation import ablate, ablation_table
    from services.trainer.pipeline import Plan

    steps = Steps()
    retrieval = retrieval_fit(epochs, interests)
    plan = Plan(data_dir, seed=seed, test_users=test_users, retrieval=retrieval, moments=0)
    steps.console.print(ablation_table(ablate(plan, steps)))


def retrieval_fit(epochs: int, interests: int = 1) -> RetrievalFitConfig:
    """The defaults, with so many interests, and another number of passes for the towers unless it is 0."""
    from services.trainer.retrieval_models import RetrievalFitConfig

    config = RetrievalFitConfig()
    towers = replace(config.towers, interests=interests)
    return replace(config, towers=towers, fit=replace(config.fit, epochs=epochs or config.fit.epochs))


@app.command()
def learn(
    data_dir: DataDir = Path(".data"),
    registry_url: RegistryUrl = "",
    seed: Seed = 0,
    position: Annotated[Position, typer.Option(help="What is done about where things were shown.")] = "feature",
    retrieval: Annotated[bool, typer.Option(help="Refit the retrieval models too.")] = True,
    ripe_seconds: Annotated[float, typer.Option(min=0, help="Age at which a slate without a reaction counts.")] = 120.0,
    promote: Annotated[bool, typer.Option(help="Champion at once after the gate, without a rollout.")] = False,
    device: Device = "auto",
    processes: Processes = 1,
    trigger: Trigger = "request",
    run_id: RunId = "",
) -> None:
    """Learn from the newest clicks, pass the gate, release. Exits with 3 when refused, 4 when there is too little."""
    from services.trainer.compute import Resources
    from services.trainer.learning.config import LearnConfig
    from services.trainer.runs.gathering import NothingToLearn
    from services.trainer.runs.learn import learn as learn_once
    from services.trainer.runs.plan import LearnPlan

    steps = Steps()
    plan = LearnPlan(
        data_dir,
        registry_url,
        seed,
        trigger,
        run_id,
        retrieval,
        promote,
        timedelta(seconds=ripe_seconds),
        ranker=LearnConfig(position=position),
        resources=Resources(device, processes),
    )
    try:
        run = learn_once(plan, steps)
    except NothingToLearn as nothing:
        print(f"trainer: {nothing.sentence}", file=sys.stderr)
        raise typer.Exit(NOTHING_TO_LEARN) from None
    show_run(steps.console, run)
    if run.state == "refused":
        raise typer.Exit(REFUSED)


@app.command()
def evaluate(
    data_dir: DataDir = Path(".data"),
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Fits of everything that draws, from --seed on.")] = 3,
    quick: Annotated[bool, typer.Option(help="One seed, few peers, small fits, a sample of the users.")] = False,
    protocol: Annotated[Literal["p1", "p2", "both"], typer.Option(help="What to measure.")] = "both",
    out: Annotated[Path | None, typer.Option(help="Folder of results and report; data_dir/evaluation.")] = None,
    report_only: Annotated[bool, typer.Option(help="Fit nothing: make the report from what is there.")] = False,
    untimed: Annotated[bool, typer.Option("--untimed", help="Tell ours not when a user is asked for.")] = False,
    device: Device = "auto",
    epochs: Annotated[int, typer.Option(min=1, help="Passes of the towers' first fit.")] = 8,
    rankers: Rankers = ALL_RANKERS,
    processes: Processes = 1,
) -> None:
    """Fit the whole funnel and its peers anew, judge them by P1 and P2, write a report. Goes on where it was killed."""
    from services.trainer.compute import Resources
    from services.trainer.evaluation.evaluate import evaluate as evaluate_all
    from services.trainer.evaluation.options import Options
    from services.trainer.pipeline import Plan

    resources, kinds = Resources(device, processes), kinds_of(rankers)
    retrieval = retrieval_fit(epochs)
    plan = Plan(data_dir, seed=seed, retrieval=retrieval, kinds=kinds, resources=resources, moments=0)
    evaluate_all(plan, Steps(), Options(seeds, quick, protocol, out, report_only, not untimed))


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


def show_run(console: Console, run: Run) -> None:
    """How a run ended."""
    versions = ", ".join(f"{model} {version}" for model, version in run.versions.items())
    console.print(f"{run.state}: {versions}" + (f" (refused: {run.reason})" if run.reason else ""), soft_wrap=True)


def show_models(console: Console, registry: Registry) -> None:
    """The serving versions and what was measured of them."""
    table = Table(title="Published models")
    for heading in ("model", "version", "serves as", "HR@10", "NDCG@10", "HR@200"):
        table.add_column(heading)
    for name, alias in (*((name, CHAMPION) for name in RETRIEVAL), ("ranker", CHAMPION), ("ranker", CHALLENGER)):
        if registry.version_of(name, alias) is None:
            continue
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
