"""python -m services.ingest [replay-dead-letters | rebuild | compact]: without a command it serves.

Commands import what they need when they run: serving needs no table, and a rebuild no Kafka client.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from contextlib import closing

from services.ingest.settings import IngestSettings
from services.runtime.errors import CascadeError, SettingsError
from services.runtime.settings import read_settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Exits with 2 and one sentence when something is wrong, with 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        sys.exit(130)
    except CascadeError as error:
        _stop(error.sentence)
    except OSError as error:
        _stop(f"{error.filename or 'A file or a socket'} cannot be used: {error.strerror or error}.")
    except Exception as error:
        if _package(error) not in ("redis", "kafka", "pyarrow"):
            raise
        _stop(f"A store did not do what it was asked: {error}.")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m services.ingest", description="Serves unless told otherwise.")
    found.set_defaults(run=serve)
    commands = found.add_subparsers(metavar="command")
    letters = commands.add_parser("replay-dead-letters", help="send what could not be read back to where it came from")
    letters.set_defaults(run=replay_dead_letters)
    letters.add_argument("--dry-run", action="store_true", help="only list them")
    letters.add_argument("--limit", type=_positive, metavar="N", help="so many at most")
    again = commands.add_parser("rebuild", help="fill an empty online store from the lake; ingest must not run")
    again.set_defaults(run=rebuild)
    again.add_argument("--empty", action="store_true", help="delete what the online store holds first")
    small = commands.add_parser("compact", help="merge the lake's small files; safe beside everything that runs")
    small.set_defaults(run=compact)
    return found


def serve(_: argparse.Namespace) -> None:
    """The service."""
    from services.ingest.service import SERVICE
    from services.runtime.server import run

    run(SERVICE)


def replay_dead_letters(options: argparse.Namespace) -> None:
    """Lists dead letters, and sends them back unless it is a dry run."""
    from rich.console import Console
    from rich.table import Table

    from services.ingest.letters import Letter
    from services.ingest.replay import replay, replayable

    settings, console = read_settings(IngestSettings), Console()
    letters = itertools.islice(replayable(settings.kafka_url), options.limit)
    if not options.dry_run:
        sent = asyncio.run(replay(settings.kafka_url, letters))
        console.print(f"{sent:,} records were sent back; those that cannot be read now either are dead letters again.")
        return

    table = Table("topic", "partition", "offset", "attempt", "bytes", "reason", title="Dead letters to replay")

    def row(letter: Letter) -> None:
        message = letter.message
        numbers = (message.partition, message.offset, letter.attempt, len(message.value))
        table.add_row(message.topic, *map(str, numbers), message.reason)

    for letter in letters:
        row(letter)
    console.print(table if table.rows else "There is no dead letter to replay.")


def rebuild(options: argparse.Namespace) -> None:
    """Folds the lake into an empty online store."""
    from redis import Redis
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from services.features.packing import VIEWS_KEY

    try:
        from services.ingest import rebuild as rebuilding
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"A rebuild needs {error.name}, which the trainer has: run it with the trainer's image, or install the "
            "extra trainer."
        ) from error

    settings = read_settings(IngestSettings)
    with closing(Redis.from_url(settings.redis_url)) as redis:
        if not redis.exists(VIEWS_KEY):
            from services.features.definitions import apply_definitions

            apply_definitions(settings.data_dir, settings.redis_url)
        if options.empty:
            rebuilding.empty(redis)
    with Progress() as bar:
        tasks: dict[str, TaskID] = {}

        def progress(part: str, done: int, total: int) -> None:
            if part not in tasks:
                tasks[part] = bar.add_task(part)
            bar.update(tasks[part], completed=done, total=total)

        counts = rebuilding.rebuild(settings.data_dir, settings.redis_url, progress)
    Console().print(", ".join(f"{count:,} {part}" for part, count in counts.items() if count) or "The lake is empty.")


def compact(_: argparse.Namespace) -> None:
    """Merges what can be merged, waits until nobody reads the sources any more, and deletes them."""
    from redis import Redis
    from rich.console import Console

    from services.ingest.compaction import Compaction

    settings, console = read_settings(IngestSettings), Console()
    with closing(Redis.from_url(settings.redis_url)) as redis:
        compaction = Compaction(settings.data_dir / "lake", redis, settings.compact_files)
        done = compaction.run_all()
        console.print(f"{done.sources:,} files became {done.merges:,}.")
        if compaction.waiting:
            console.print(f"Their sources go in {compaction.waiting:.0f} s …")
            time.sleep(compaction.waiting)
            done = done.plus(compaction.run_all())
        console.print(f"{done.deleted:,} files were deleted.")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return int(text)


def _package(error: Exception) -> str:
    return type(error).__module__.partition(".")[0]


def _stop(sentence: str) -> None:
    print(f"ingest: {sentence}", file=sys.stderr)
    sys.exit(2)
