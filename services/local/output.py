"""The logs of all processes in one terminal: each line behind the name of its process, in the process's colour."""

from __future__ import annotations

import sys
from typing import TextIO

_COLOURS = (36, 33, 35, 32, 34, 31, 96, 93)
"""ANSI foregrounds, given out in turn."""
_NAME_WIDTH = 9


class PrefixedOutput:
    """Takes what a process writes, in pieces of any size, and prints it in whole lines.

    Circus calls it with {"data": bytes, ...}. Colours are left out when the output is no terminal.
    """

    def __init__(self, name: str, position: int, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        colour = _COLOURS[position % len(_COLOURS)]
        start, end = (f"\x1b[{colour}m", "\x1b[0m") if self._out.isatty() else ("", "")
        self._prefix = f"{start}{name:<{_NAME_WIDTH}}|{end} "
        self._rest = b""
        self._own = f"{name}: "
        self.sentence = ""
        """What the process said last in its own name, such as why it cannot start."""

    def __call__(self, piece: dict[str, bytes]) -> None:
        *lines, self._rest = (self._rest + piece["data"]).split(b"\n")
        for line in lines:
            self.say(line.decode(errors="replace"))

    def say(self, line: str) -> None:
        """Prints one line."""
        if line.startswith(self._own):
            self.sentence = line.removeprefix(self._own)
        self._out.write(f"{self._prefix}{line}\n")
        self._out.flush()

    def close(self) -> None:
        """Prints what came without an end of line; Circus calls it when the process is stopped for good."""
        if self._rest:
            self({"data": b"\n"})
