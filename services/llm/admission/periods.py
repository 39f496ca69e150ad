"""Days and months in UTC, written so that a later one compares greater and a day begins with its month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from services.llm.admission.keys import Period

DAY_SECONDS = 86_400


def period_at(period: Period, now: float) -> str:
    """ "2026-11-21", "2026-11", or "" for the one period that never ends. `now` in seconds since 1970."""
    return _period_on(period, int(now // DAY_SECONDS))


@lru_cache(maxsize=8)
def _period_on(period: Period, day: int) -> str:
    moment = datetime.fromtimestamp(day * DAY_SECONDS, UTC)
    return {"day": f"{moment:%Y-%m-%d}", "month": f"{moment:%Y-%m}", "none": ""}[period]


def seconds_left(period: Period, now: float) -> float | None:
    """Until the next day or month begins; None: never."""
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "none":
        return None
    days = 1 if period == "day" else 32 - midnight.day
    following = midnight + timedelta(days=days)
    return (following if period == "day" else following.replace(day=1)).timestamp() - now


def still_counts(spent_in: str, now: str) -> bool:
    """Whether what was spent in one period counts in another: the same one, a day and its month when a key's period was
    changed, and a later one, for a clock that was set back.
    """
    return spent_in >= now or now.startswith(spent_in)
