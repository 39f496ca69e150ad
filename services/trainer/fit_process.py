"""torchrun --nproc-per-node N -m services.trainer.fit_process <folder>: one process of a shared fit."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Before torch is loaded: OpenMP threads that wait for each other must not burn the core another process needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    """Reads the request, takes part, and in the first process leaves the answer in the folder."""
    from services.trainer.compute import Compute
    from services.trainer.fit_request import read_request, write_answer
    from services.trainer.training_loop import PROGRESS_LINE

    folder = Path(sys.argv[1])
    request = read_request(folder)

    def tell(done: int, planned: int) -> None:
        print(f"{PROGRESS_LINE}{done} {planned}", flush=True)

    with Compute.joined(request.device) as compute:
        model, metrics = request.fit(compute, tell)
        if compute.main:
            write_answer(folder, model, metrics)


if __name__ == "__main__":
    main()
