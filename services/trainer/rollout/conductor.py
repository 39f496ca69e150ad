"""Takes the release that is on its way from step to step: looks at its figures, decides, moves the aliases."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.runtime.errors import CascadeError
from services.runtime.logs import get_logger
from services.runtime.metrics import ROLLOUT_SHARE, ROLLOUTS
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.trainer.rollout.aliases import MODELS, Aliases, going, winning
from services.trainer.rollout.guardrails import CHALLENGER as CHALLENGER_ARM
from services.trainer.rollout.guardrails import SHADOW as SHADOW_ARM
from services.trainer.rollout.guardrails import answers, judged, missing
from services.trainer.rollout.ledger import Entry, Ledger, now_us
from services.trainer.rollout.machine import ROLLED_BACK, SHADOW, Figures, Guardrail, Rollout, advanced, rolled_back
from services.trainer.rollout.readings import Meter, add
from services.trainer.rollout.settings import RolloutSettings

KEEP_SECONDS = 5.0
"""How often the counts of a step are written down; a restart loses no more."""
CHAMPIONS_SECONDS = 3.0
"""How often the aliases are looked at while nothing changes."""
PRUNE_SECONDS = 600.0

log = get_logger("rollout")


@dataclass(frozen=True, slots=True)
class View:
    """What everybody may know."""

    rollout: Rollout | None = None
    champions: Mapping[str, str] = field(default_factory=dict)
    guardrails: tuple[Guardrail, ...] = ()


class Conductor:
    """Looks one at a time, from whichever thread; they block."""

    def __init__(self, registry: Registry, settings: RolloutSettings, metrics_urls: Sequence[str]) -> None:
        self._registry, self._settings = registry, settings
        self._ledger, self._meter = Ledger(registry), Meter(metrics_urls)
        self._rollout: Rollout | None = None
        self._aliases: Aliases = {}
        self._tally: dict[str, float] = {}
        self._guardrails: tuple[Guardrail, ...] = ()
        self._one = threading.Lock()
        self._kept_at = self._aliases_at = self._pruned_at = float("-inf")

    def look(self, *, changed: bool = False) -> View:
        """Reads the note and the metrics, and goes on if it is time to; `changed` aliases are read again at once.

        Errors of the registry leave all as it was.
        """
        with self._one:
            if changed:
                self._aliases_at = float("-inf")
            return self._look()

    def close(self) -> None:
        """Writes down what was counted, for whoever goes on. Blocks."""
        with self._one:
            if self._rollout is not None and self._rollout.on_its_way:
                self._keep(self._rollout)

    def _look(self) -> View:
        self._adopt(self._ledger.settled())
        if time.monotonic() - self._aliases_at >= CHAMPIONS_SECONDS:
            self._read_aliases()
        if self._rollout is not None and self._rollout.on_its_way:
            self._go_on(self._rollout)
        self._prune()
        return self._view()

    def _adopt(self, entry: Entry) -> None:
        """Takes over a rollout that somebody else began, ended or, before a restart, conducted."""
        mine, theirs = self._rollout, entry.rollout
        if (mine and mine.place) == (theirs and theirs.place):
            return
        self._rollout, self._tally = theirs, dict(entry.tally)
        self._meter.forget()
        self._judge()
        self._read_aliases()
        if theirs is not None:
            _told(theirs)

    def _go_on(self, rollout: Rollout) -> None:
        gains, unread = self._meter.gained()
        if rollout.watched_s < self._settings.guardrails.click_lag_s:
            gains = {key: gain for key, gain in gains.items() if not key.startswith(("shown", "clicks"))}
        add(self._tally, gains)
        self._judge()
        arm = SHADOW_ARM if rollout.stage == SHADOW else CHALLENGER_ARM
        samples, _ = answers(self._tally, arm)
        figures = Figures(samples, self._guardrails, unread, missing(self._tally, arm))
        displaced = _displaced(rollout, self._aliases)
        moment = now_us()
        after = (
            rolled_back(rollout, displaced, moment)
            if displaced
            else advanced(rollout, figures, moment, self._settings.steps, self._settings.blind_s)
        )
        if after.place != rollout.place:
            self._enter(rollout, after)
        else:
            self._rollout = after
            if time.monotonic() - self._kept_at >= KEEP_SECONDS:
                self._keep(after)

    def _judge(self) -> None:
        shadow = any(key.startswith(f"answers {SHADOW_ARM}") for key in self._tally)
        if self._rollout is not None and self._rollout.on_its_way:
            shadow = self._rollout.stage == SHADOW
        self._guardrails = judged(self._tally, shadow=shadow, settings=self._settings.guardrails)

    def _enter(self, before: Rollout, after: Rollout) -> None:
        """Another step or an end, unless somebody else wrote meanwhile: then theirs counts, from the next look on."""
        with self._ledger.writing() as entry:
            if entry.rollout is None or entry.rollout.place != before.place:
                return
            aliases = self._ledger.aliases()
            if after.on_its_way:
                self._ledger.commit(Entry(after))
            elif after.stage == ROLLED_BACK:
                self._ledger.commit(Entry(after, self._tally, going(after.challengers, aliases)))
            else:
                self._ledger.commit(Entry(after, self._tally, winning(after.challengers, aliases)))
        self._rollout = after
        self._kept_at = time.monotonic()
        if after.on_its_way:
            # What the step before counted says nothing of this one; the meter goes on from where it is.
            self._tally = {}
        else:
            ROLLOUTS.labels(after.stage).inc()
        self._read_aliases()
        _told(after)

    def _keep(self, rollout: Rollout) -> None:
        with self._ledger.writing() as entry:
            if entry.rollout is not None and entry.rollout.place == rollout.place:
                self._ledger.keep(replace(entry, rollout=rollout, tally=self._tally))
        self._kept_at = time.monotonic()

    def _read_aliases(self) -> None:
        self._aliases = self._ledger.aliases()
        self._aliases_at = time.monotonic()

    def _view(self) -> View:
        champions = {name: found[CHAMPION] for name, found in self._aliases.items() if CHAMPION in found}
        return View(self._rollout, champions, self._guardrails)

    def _prune(self) -> None:
        if time.monotonic() - self._pruned_at < PRUNE_SECONDS:
            return
        self._pruned_at = time.monotonic()
        for name in MODELS:
            try:
                gone = self._registry.prune(name, self._settings.kept_versions)
            except (CascadeError, OSError) as error:
                log.warning("old versions are not removed", model=name, reason=str(error))
            else:
                if gone:
                    log.info("old versions removed", model=name, versions=gone)


def _displaced(rollout: Rollout, aliases: Aliases) -> str:
    """Why the comparison has lost its sense, a sentence; empty while it has not."""
    for name, version in rollout.challengers.items():
        found = aliases.get(name, {})
        if found.get(CHAMPION) != rollout.champions.get(name):
            return f"The champion of {name} is no longer version {rollout.champions.get(name)}."
        if found.get(CHALLENGER) != version:
            return f"The challenger of {name} is no longer version {version}."
    return ""


def _told(rollout: Rollout) -> None:
    ROLLOUT_SHARE.set(rollout.share if rollout.on_its_way else 0)
    log.info(
        "rollout", rollout=rollout.rollout_id, stage=rollout.stage, share=rollout.share, reason=rollout.reason,
        **rollout.challengers,
    )  # fmt: skip
