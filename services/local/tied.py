"""Runs a program that ends when its parent does, even when the parent is killed.

python tied.py PARENT-PID PROGRAM [ARGUMENT ...]

Linux sends SIGTERM then; the wish survives exec, so any program can be tied. Elsewhere the program just runs.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Becomes the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)  # it died before the wish was made
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
