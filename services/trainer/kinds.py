"""The rankers there are, by name; without the libraries that fit them."""

from __future__ import annotations

from typing import Literal, cast, get_args

from services.runtime.errors import SettingsError

Kind = Literal["lambdamart", "dlrm", "dcn_v2", "mmoe"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RANKERS: tuple[Kind, ...] = ("lambdamart", "dlrm")
"""What is fitted by default. The first becomes champion, the second challenger; more are published and wait."""
DEFAULT_RANKERS = ",".join(RANKERS)
ALL_RANKERS = ",".join(KINDS)


def kinds_of(names: str) -> tuple[Kind, ...]:
    """Different kinds from names with commas. SettingsError, naming `rankers`, for anything else."""
    given = tuple(name.strip() for name in names.split(","))
    if wrong := [name for name in given if name not in KINDS]:
        raise SettingsError(f"rankers: there is no {wrong[0][:64]!r}; there are {', '.join(KINDS)}.", field="rankers")
    if len(set(given)) < len(given):
        raise SettingsError(f"rankers: {names!r} names one twice.", field="rankers")
    return cast(tuple[Kind, ...], given)
