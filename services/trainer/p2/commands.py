"""python -m services.trainer p2 table | ablation | heads"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from services.trainer.progress import Steps

if TYPE_CHECKING:
    from services.trainer.p2.run import Progress
    from services.trainer.p2.scorers import P2Config

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

DataDir = Annotated[Path, typer.Option(envvar="CASCADE_DATA_DIR", help="Folder with the lake.")]
Quick = Annotated[bool, typer.Option("--quick", help="Worse models, sooner.")]
Seed = Annotated[int, typer.Option(help="Makes every draw repeatable.")]


@app.command()
def table(data_dir: DataDir = Path(".data"), quick: Quick = False, seed: Seed = 0) -> None:
    """Every scorer on the test."""
    from services.trainer.p2.run import p2_table, run_p2

    with _telling("P2: every scorer") as (steps, progress):
        results = run_p2(data_dir, seed, progress, _config(quick))
    steps.console.print(p2_table(results))


@app.command(name="ablation")
def without_each(
    data_dir: DataDir = Path(".data"),
    quick: Quick = False,
    seed: Seed = 0,
    scorer: Annotated[Literal["lambdamart", "dlrm", "dcn_v2", "mmoe"], typer.Option(help="Whose loss.")] = "lambdamart",
) -> None:
    """One scorer without each family of features, judged before the test."""
    from services.trainer.p2.data import p2_data
    from services.trainer.p2.study import ablation, ablation_table

    config = _config(quick)
    with _telling("P2 without each family of features") as (steps, progress):
        data = p2_data(data_dir, config.latent, seed, partial(progress, "features"))
        found = ablation(data, scorer, config, seed, progress)
    steps.console.print(ablation_table(found))


@app.command()
def heads(
    data_dir: DataDir = Path(".data"),
    quick: Quick = False,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of each model.")] = 3,
) -> None:
    """MMoE against a model for each of its heads, on the test."""
    from services.trainer.p2.data import p2_data
    from services.trainer.p2.study import gains_table, shared_or_alone

    config = _config(quick)
    with _telling("P2: heads that share experts against heads alone") as (steps, progress):
        data = p2_data(data_dir, config.latent, 0, partial(progress, "features"))
        gains = shared_or_alone(data, config, range(seeds), progress)
    steps.console.print(gains_table(gains))


def _config(quick: bool) -> P2Config:
    from services.trainer.p2.scorers import P2Config

    return P2Config.quick() if quick else P2Config()


@contextmanager
def _telling(text: str) -> Iterator[tuple[Steps, Progress]]:
    steps = Steps()
    with steps.step(text) as advance:
        yield steps, lambda _name, done, planned: advance(done, planned)
