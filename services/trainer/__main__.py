"""python -m services.trainer fetch | train | evaluate"""

from __future__ import annotations

import sys

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
