"""python -m services.trainer fetch | train | evaluate"""

from __future__ import annotations

import os
import sys

# Before torch is loaded: OpenMP threads that wait for each other must not burn the core another process needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from models.artifact import DamagedArtifact
from services.runtime.errors import CascadeError
from services.trainer.commands import app

if __name__ == "__main__":
    try:
        app()
    except (CascadeError, DamagedArtifact, OSError) as error:
        print(f"trainer: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
