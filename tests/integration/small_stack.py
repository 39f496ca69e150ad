"""A stack of trivial programs under the real manager: python -m tests.integration.small_stack

Reads its programs from small.json in the data folder: waves of {"name", "port", "code"}.
"""

from __future__ import annotations

import asyncio
import json
import sys

from services.local.command import run_stack
from services.local.layout import Program
from services.local.settings import LocalSettings
from services.runtime.errors import CascadeError

LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
SERVE = LISTEN + "time.sleep(600)"
"""A program that is ready at once and stays."""


def main() -> None:
    """Runs until it is stopped."""
    settings = LocalSettings()
    waves = [
        [
            Program(
                program["name"],
                [sys.executable, "-S", "-u", "-c", program["code"], str(program["port"])],
                f"kafka://127.0.0.1:{program['port']}",
            )
            for program in wave
        ]
        for wave in json.loads((settings.data_dir / "small.json").read_text())
    ]
    try:
        asyncio.run(run_stack(settings, waves))
    except CascadeError as error:
        print(error.sentence, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
