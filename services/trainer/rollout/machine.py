"""What comes next in a rollout: shadow, canary, ramp, champion; or rolled back. Pure: no clock, no registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.trainer.rollout.settings import Step

SHADOW, CANARY, RAMP, CHAMPION, ROLLED_BACK = "shadow", "canary", "ramp", "champion", "rolled_back"
ON_ITS_WAY = (SHADOW, CANARY, RAMP)
NOT_BEGUN = -1
LONGEST_TICK_S = 5.0
"""Most that one look adds to a step's time: while nobody looked, nobody watched."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One figure that a challenger must keep to, as last read."""

    name: str
    """errors, latency, click_through or agreement."""
    champion: float
    challenger: float
    limit: float
    samples: int
    """Of the challenger in this step."""
    breach: str = ""
    """What is wrong, a sentence; empty while all is well."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one look found."""

    samples: int
    """Answers of the challenger in this step."""
    guardrails: tuple[Guardrail, ...] = ()
    unread: str = ""
    """What could not be read, a sentence; empty when everything was."""
    missing: int = 0
    """How often the challenger was asked in this step and was not loaded."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Versions that are tried together, and how far they are."""

    rollout_id: str
    challengers: Mapping[str, str]
    """Model -> version."""
    champions: Mapping[str, str]
    """Model -> version: what they are compared with; of the same models."""
    stage: str
    step: int
    """Place in the steps of the settings; NOT_BEGUN before the first look."""
    share: float
    """Of users who get the challengers; 1 for a champion, 0 once rolled back."""
    since_us: int
    """When this step began, microseconds since 1970."""
    seen_us: int
    """When it was looked at last."""
    watched_s: float = 0.0
    """Seconds of this step in which its figures were read."""
    blind_s: float = 0.0
    """Seconds on end in which they could not be."""
    reason: str = ""
    """Why it was rolled back, or what it waits for, a sentence."""

    @property
    def on_its_way(self) -> bool:
        """False once it has ended, either way."""
        return self.stage in ON_ITS_WAY

    @property
    def place(self) -> tuple[str, str, int]:
        """Differs whenever it has gone on or another one took its place."""
        return self.rollout_id, self.stage, self.step


def begun(rollout_id: str, challengers: Mapping[str, str], champions: Mapping[str, str], now_us: int) -> Rollout:
    """Before the first step, which the first look enters; until then a shadow."""
    return Rollout(rollout_id, challengers, champions, SHADOW, NOT_BEGUN, 0.0, now_us, now_us)


def advanced(rollout: Rollout, figures: Figures, now_us: int, steps: Sequence[Step], patience_s: float) -> Rollout:
    """The rollout after one look at its figures. An ended one stays as it is.

    A breach ends it at any step, a challenger that was never loaded at the end of one. Time counts only while the
    figures could be read; after `patience_s` seconds on end in which they could not, it is rolled back: nobody becomes
    champion unwatched.
    """
    if not rollout.on_its_way:
        return rollout
    breaches = [guardrail.breach for guardrail in figures.guardrails if guardrail.breach]
    if breaches:
        return rolled_back(rollout, " ".join(breaches), now_us)
    if rollout.step == NOT_BEGUN:
        return _next(rollout, now_us, steps)
    passed = min(max(0.0, (now_us - rollout.seen_us) / 1e6), LONGEST_TICK_S)
    if figures.unread:
        blind = rollout.blind_s + passed
        if blind >= patience_s:
            return rolled_back(rollout, f"Nobody could watch it for {blind:.0f} seconds. {figures.unread}", now_us)
        return replace(rollout, seen_us=now_us, blind_s=blind, reason=f"Waits: {figures.unread}")
    rollout = replace(rollout, seen_us=now_us, watched_s=rollout.watched_s + passed, blind_s=0.0, reason="")
    step = steps[min(rollout.step, len(steps) - 1)]
    enough = rollout.watched_s >= step.seconds and figures.samples >= step.samples
    if not enough and rollout.watched_s < step.longest:
        return rollout
    if figures.missing and not figures.samples:
        asked = f"The challenger was asked {figures.missing} times and never loaded"
        return rolled_back(rollout, f"{asked}; the logs of retrieval and ranker say why.", now_us)
    if rollout.stage == SHADOW and not figures.samples:
        # Every request asks a shadow. Without one, not even that it can be loaded is known.
        return replace(rollout, reason="Waits: nobody has asked it yet.")
    return _next(rollout, now_us, steps)


def promoted(rollout: Rollout, now_us: int) -> Rollout:
    """At its good end."""
    return _entered(rollout, CHAMPION, rollout.step, 1.0, now_us)


def rolled_back(rollout: Rollout, reason: str, now_us: int) -> Rollout:
    """At its other end; `reason` is a sentence."""
    return replace(_entered(rollout, ROLLED_BACK, rollout.step, 0.0, now_us), reason=reason)


def _next(rollout: Rollout, now_us: int, steps: Sequence[Step]) -> Rollout:
    following = rollout.step + 1
    if following >= len(steps):
        return promoted(rollout, now_us)
    step = steps[following]
    # Settings may have changed since it began: nobody is taken back to fewer users.
    return _entered(rollout, step.stage, following, max(rollout.share, step.share), now_us)


def _entered(rollout: Rollout, stage: str, step: int, share: float, now_us: int) -> Rollout:
    return replace(
        rollout, stage=stage, step=step, share=share, since_us=now_us, seen_us=now_us, watched_s=0.0, blind_s=0.0,
        reason="",
    )  # fmt: skip
