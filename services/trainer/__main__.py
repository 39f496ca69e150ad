"""python -m services.trainer fetch | train | evaluate | bootstrap | serve"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

# Before torch is loaded: OpenMP threads that wait for each other must not burn the core another process needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if __name__ == "__mp_main__":
    # A worker process, which imports this module too: Ctrl-C is for its parent, which ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def stop(sentence: str) -> NoReturn:
    """Says why and exits with 2."""
    print(f"trainer: {sentence}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """Exits with 2 and one sentence when something is wrong, with 130 after Ctrl-C."""
    try:
        # Imported here: it takes a while, in which Ctrl-C must not end in a traceback either.
        from models.artifact import DamagedArtifact
        from services.runtime.errors import CascadeError
        from services.trainer.commands import app
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        app()
    except OSError as error:
        stop(f"{error.filename or 'The data folder'} cannot be read or written: {error.strerror or error}.")
    except (CascadeError, DamagedArtifact) as error:
        stop(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        # Looked for by name: polars is loaded only where a command used it.
        polars = sys.modules.get("polars.exceptions")
        if polars is None or not isinstance(error, polars.PolarsError):
            raise
        reason = str(error).splitlines()[0]
        stop(f"A Parquet file cannot be read or written: {reason}. Free some space, or import a damaged lake again.")


if __name__ == "__main__":
    main()
