"""python -m services.trainer fetch | train | evaluate"""

from __future__ import annotations

import os
import signal
import sys

# Before torch is loaded: OpenMP threads that wait for each other must not burn the core another process needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if __name__ == "__mp_main__":
    # A worker process, which imports this module too: Ctrl-C is for its parent, which ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """Exits with 2 and one sentence when something is wrong, with 130 after Ctrl-C."""
    try:
        # Imported here: it takes seconds, in which Ctrl-C must not end in a traceback either.
        from polars.exceptions import PolarsError

        from models.artifact import DamagedArtifact
        from services.runtime.errors import CascadeError
        from services.trainer.commands import app
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        app()
    except PolarsError as error:
        reason = str(error).splitlines()[0]
        print(
            f"trainer: A file of the lake cannot be read ({reason}). Remove the lake and import again.", file=sys.stderr
        )
        sys.exit(2)
    except (CascadeError, DamagedArtifact, OSError) as error:
        print(f"trainer: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
