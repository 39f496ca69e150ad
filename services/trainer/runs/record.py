"""What is written down of a run, so that anybody can tell how far it is and a later process can go on with it."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

RECORD = "run.json"

Kind = Literal["continuous", "full"]
State = Literal["running", "published", "refused", "failed"]


class Run(BaseModel):
    """run.json. The first fields are those of proto Run; the others are what a resumed run must know."""

    run_id: str
    kind: Kind = "continuous"
    trigger: str = "request"
    """schedule, examples or request."""
    state: State = "running"
    stage: str = ""
    done: int = 0
    planned: int = 0
    started_us: int
    ended_us: int = 0
    reason: str = ""
    """Why it was refused or failed, a sentence."""
    dataset: str = ""
    """Content hash of the examples."""
    examples: int = 0
    versions: dict[str, str] = Field(default_factory=dict)
    """Model -> version, as published."""

    pid: int = 0
    """The process that worked on it last."""
    asked: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """The options it was started with: another process goes on with it only when it was asked for the same."""
    champions: dict[str, str] = Field(default_factory=dict)
    """Model -> version that served when it began: what it starts from and is judged against."""
    parts: list[str] = Field(default_factory=list)
    """What it fits: retrieval, ranker."""
    finished: list[str] = Field(default_factory=list)
    """Stages that need not be done again."""
    learned_us: dict[str, int] = Field(default_factory=dict)
    """Part -> time of the newest record it has learned from, microseconds since 1970."""
    releases: list[str] = Field(default_factory=list)
    """Models of `versions` that passed the gate."""

    @classmethod
    def begin(cls, kind: Kind, trigger: str, run_id: str = "") -> Run:
        """A new run, whose id tells the second it began unless it is given."""
        now = datetime.now(UTC)
        return cls(
            run_id=run_id or f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
            kind=kind,
            trigger=trigger,
            started_us=int(now.timestamp() * 1_000_000),
            pid=os.getpid(),
        )

    @property
    def started(self) -> datetime:
        """When it began, UTC."""
        return datetime.fromtimestamp(self.started_us / 1_000_000, UTC)

    def end(self, state: State, reason: str = "") -> None:
        """Nothing follows."""
        self.state, self.reason = state, reason
        self.ended_us = int(datetime.now(UTC).timestamp() * 1_000_000)

    def write(self, folder: Path) -> None:
        """Into `folder`, by one atomic rename."""
        draft = folder / f".{RECORD}"
        draft.write_text(self.model_dump_json(indent=1))
        draft.replace(folder / RECORD)
