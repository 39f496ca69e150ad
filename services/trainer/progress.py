"""What a person sees of long work, and what remains to be seen when it is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

TRAINED = "trained.json"
"""In the data folder once everything is published."""


@dataclass(slots=True)
class Steps:
    """Progress lines on the console, one a step."""

    console: Console = field(default_factory=Console)

    @contextmanager
    def step(self, text: str) -> Iterator[Callable[[int, int], None]]:
        """A line with a bar while the step runs, and its time when it is done; call the value with (done, total)."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(text, total=None)
            yield partial(_advance, progress, task)
            elapsed = progress.tasks[0].elapsed or 0.0
        self.console.print(f"  [green]✓[/] {text} [dim]{elapsed:.1f} s")


def _advance(progress: Progress, task: TaskID, done: int, total: int) -> None:
    progress.update(task, completed=done, total=total)


def mark_trained(data_dir: Path, versions: Mapping[str, str]) -> None:
    """Remembers the published versions, by one atomic rename."""
    draft = data_dir / f".{TRAINED}"
    draft.write_text(json.dumps(dict(versions)))
    draft.replace(data_dir / TRAINED)
