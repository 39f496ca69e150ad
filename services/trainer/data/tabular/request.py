"""What to import, and how it is to be understood."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from services.runtime.errors import SettingsError
from services.trainer.data.sources import SOURCES
from services.trainer.data.tabular.scale import Scale

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "iso"]
"""How moments are written: a number of these since 1970, or as ISO 8601; auto looks at the first rows."""

RESERVED = (*SOURCES, "synthetic")
"""Names that other data sets have."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, and how it is to be understood."""

    interactions: Path
    """CSV or Parquet: a row for each time a user turned to an item."""
    items: Path | None = None
    users: Path | None = None
    name: str = ""
    """What the data set is called from now on; empty for the name of the file of interactions."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role -> column of the interactions, as told: user, item, time, value. Others are guessed."""
    item_columns: Mapping[str, str] = field(default_factory=dict)
    """Likewise of `items`: item, title, genres, creators, year."""
    user_columns: Mapping[str, str] = field(default_factory=dict)
    """Likewise of `users`: user, gender, age, occupation, region."""
    scale: Scale = field(default_factory=Scale)
    time_unit: TimeUnit = "auto"
    delimiter: str = ""
    header: bool = True
    max_malformed: float = 0.05
    """Share of a file's rows that may be rejected."""

    @property
    def dataset(self) -> str:
        """The name. SettingsError when it cannot be one."""
        stem = re.sub(r"[^a-z0-9_-]+", "-", self.interactions.name.split(".")[0].casefold()).strip("-")
        name = self.name or stem
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise SettingsError(
                f"{name!r} cannot be the name of imported data. Give --name with small letters, digits, - and _, "
                f"other than {', '.join(RESERVED)}.",
                field="name",
            )
        return name
