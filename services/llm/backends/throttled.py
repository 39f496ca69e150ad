"""A refusal that tells when to come back."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

from services.runtime.errors import TooMany


class Throttled(TooMany):
    """A backend takes no more for now."""

    def __init__(self, sentence: str, *, retry_after: float | None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        """Seconds until it makes sense to ask again; None when it was not told."""


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds from now, whichever of its two forms it has; None for anything else."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return None
    # NaN is not above zero either.
    return seconds if seconds > 0 else 0.0
