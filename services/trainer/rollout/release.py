"""A release: versions that are tried together. How a run hands them over, and how a person decides for them.

    sentence = can_start(registry)                      # None when nothing is on its way
    start_release(registry, {"ranker": "12"})           # tried on more and more users by the trainer's service
    promote_release(registry, {"ranker": "12"})         # champion at once

Calls block and write; every one of them is whole or, after a crash, finished by the next.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from models.artifact import DamagedArtifact
from services.runtime.errors import Conflict, InvalidArgument, NotFound
from services.runtime.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from services.trainer.rollout.aliases import MODELS, Aliases, after, coming, family, going, returning, winning
from services.trainer.rollout.ledger import Entry, Ledger, now_us
from services.trainer.rollout.machine import Rollout, begun, promoted, rolled_back

GATE = "gate"
REFUSED = "refused"
"""How the gate's tag begins on a version that it did not let through."""


def can_start(registry: Registry) -> str | None:
    """Why no release can start now, a sentence; None when one can."""
    rollout = Ledger(registry).read().rollout
    return None if rollout is None or not rollout.on_its_way else _busy(rollout)


def start_release(registry: Registry, versions: Mapping[str, str], *, supersede: bool = False) -> str:
    """Makes versions challengers, to be tried from now on; returns the rollout's id.

    Args:
        registry: Where they are published.
        versions: Model -> version; the retrieval models come together or not at all.
        supersede: Ends a release that is on its way; otherwise that one stays and this one is a Conflict.
    """
    ledger = Ledger(registry)
    _require_whole(registry, versions)
    with ledger.writing() as entry:
        if entry.rollout is not None and entry.rollout.on_its_way:
            if not supersede:
                raise Conflict(_busy(entry.rollout), field="versions")
            _end(ledger, entry.rollout, f"A newer release took its place: {_named(versions)}.")
        champions = {name: version for name, version in ledger.champions().items() if name in versions}
        if missing := sorted(versions.keys() - champions.keys()):
            raise Conflict(f"{missing[0]} has no champion to be compared with; promote the release at once.")
        rollout = begun(_new_id(), dict(versions), champions, now_us())
        ledger.commit(Entry(rollout, moves=coming(versions)))
        return rollout.rollout_id


def promote_release(registry: Registry, versions: Mapping[str, str]) -> None:
    """Makes versions champions at once; a release that is on its way ends."""
    ledger = Ledger(registry)
    _require_whole(registry, versions)
    with ledger.writing() as entry:
        _crown(ledger, entry, versions)


def promote(registry: Registry, name: str, version: str = "") -> dict[str, str]:
    """Promotes by hand: a version, or the challenger when none is named. Returns the champions that it set.

    The release on its way moves whole when it holds the version; otherwise a version of a retrieval model brings those
    that were trained with it.
    """
    _require_model(name)
    ledger = Ledger(registry)
    with ledger.writing() as entry:
        aliases = ledger.aliases()
        wanted = version or aliases[name].get(CHALLENGER, "")
        if not wanted:
            raise Conflict(f"There is no challenger of {name!r}; name the version to promote.", field="version")
        rollout = entry.rollout
        if rollout is not None and rollout.on_its_way and rollout.challengers.get(name) == wanted:
            versions: Mapping[str, str] = rollout.challengers
        elif version:
            versions = _trained_together(registry, name, version)
        else:
            versions = _challengers_of(name, aliases)
        _require_whole(registry, versions)
        _crown(ledger, entry, versions)
        return dict(versions)


def rollback(registry: Registry, name: str) -> dict[str, str]:
    """Rolls back by hand; returns the champions that serve from now on, of the models that it concerns.

    Ends the release on its way that holds the model; otherwise the champion and the one before it change places, for
    every model that was promoted with this one.
    """
    _require_model(name)
    ledger = Ledger(registry)
    with ledger.writing() as entry:
        rollout = entry.rollout
        if rollout is not None and rollout.on_its_way and name in rollout.challengers:
            _end(ledger, rollout, "Rolled back by hand.")
            return {model: version for model, version in ledger.champions().items() if model in rollout.challengers}
        aliases = ledger.aliases()
        whole = rollout is not None and not rollout.on_its_way and _still_beside(rollout, name, aliases)
        names = tuple(rollout.challengers) if rollout is not None and whole else family(name)
        for model in names:
            if not {CHAMPION, PREVIOUS} <= aliases[model].keys():
                raise Conflict(f"{model!r} has no champion before this one; promote a version instead.", field="name")
        moves = returning(names, aliases)
        champions = {model: found[CHAMPION] for model, found in after(aliases, moves).items() if model in names}
        if rollout is not None and whole:
            again = champions == dict(rollout.challengers)
            rollout = promoted(rollout, now_us()) if again else rolled_back(rollout, "Rolled back by hand.", now_us())
        ledger.commit(Entry(rollout, entry.tally, moves))
        return champions


def _crown(ledger: Ledger, entry: Entry, versions: Mapping[str, str]) -> None:
    rollout = entry.rollout
    if rollout is not None and rollout.on_its_way:
        if not rollout.challengers.keys() & versions.keys():
            # Another model's release goes on; there is one note, and it stays that one's.
            ledger.commit(replace(entry, moves=winning(versions, ledger.aliases())))
            return
        if dict(rollout.challengers) != dict(versions):
            _end(ledger, rollout, f"Ended: {_named(versions)} was promoted meanwhile.")
            rollout = None
    aliases = ledger.aliases()
    if rollout is None or not rollout.on_its_way:
        before = {name: aliases[name][CHAMPION] for name in versions if CHAMPION in aliases[name]}
        rollout = begun(_new_id(), dict(versions), before, now_us())
    ledger.commit(Entry(promoted(rollout, now_us()), moves=winning(versions, aliases)))


def _end(ledger: Ledger, rollout: Rollout, reason: str) -> None:
    ended = rolled_back(rollout, reason, now_us())
    ledger.commit(Entry(ended, moves=going(rollout.challengers, ledger.aliases())))


def _still_beside(rollout: Rollout, name: str, aliases: Aliases) -> bool:
    """True when the last release that holds the model still is, whole, either the champion or the one before it."""
    if name not in rollout.challengers:
        return False
    return any(
        all(aliases[model].get(alias) == version for model, version in rollout.challengers.items())
        and all(PREVIOUS in aliases[model] for model in rollout.challengers)
        for alias in (CHAMPION, PREVIOUS)
    )


def _challengers_of(name: str, aliases: Aliases) -> dict[str, str]:
    versions = {model: aliases[model].get(CHALLENGER, "") for model in family(name)}
    if missing := [model for model, version in versions.items() if not version]:
        raise Conflict(f"There is no challenger of {missing[0]!r}, which moves with {name!r}.", field="version")
    return versions


def _trained_together(registry: Registry, name: str, version: str) -> dict[str, str]:
    """The version and, for a retrieval model, its companions: those with the same moment of training."""
    if not version.isdigit():
        raise InvalidArgument(f"version must be a number such as 12, not {version[:100]!r}.", field="version")
    found = registry.resolve(name, version)
    if found.tags.get(GATE, "").startswith(REFUSED):
        raise Conflict(f"Version {version} of {name!r} was not let through: {found.tags[GATE]}", field="version")
    mine = found.manifest.lineage.get("created_at", "")
    versions = {name: version}
    for model in family(name):
        if model == name:
            continue
        others = [other for other in registry.versions(model) if mine == other.manifest.lineage.get("created_at")]
        if not others or not mine:
            raise NotFound(f"No version of {model!r} was trained with version {version} of {name!r}.", field="version")
        versions[model] = others[0].version
    return versions


def _require_model(name: str) -> None:
    if name not in MODELS:
        raise NotFound(f"There is no model {name[:100]!r}; there are {', '.join(MODELS)}.", field="name")


def _require_whole(registry: Registry, versions: Mapping[str, str]) -> None:
    """Every file of every version is there, and the retrieval models are together."""
    if not versions:
        raise InvalidArgument("A release needs at least one version.", field="versions")
    for name, version in versions.items():
        _require_model(name)
        for model in family(name):
            if model not in versions:
                raise InvalidArgument(f"{name!r} is released together with {model!r}.", field="versions")
        try:
            registry.resolve(name, version)
        except DamagedArtifact as error:
            raise Conflict(f"Version {version} of {name!r} cannot be served: {error}", field="version") from error


def _busy(rollout: Rollout) -> str:
    since = datetime.fromtimestamp(rollout.since_us / 1e6, UTC).isoformat(timespec="seconds")
    return (
        f"A release is on its way: {_named(rollout.challengers)}, in stage {rollout.stage} since {since}. "
        "Wait for its end, or promote it or roll it back."
    )


def _named(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _new_id() -> str:
    return uuid.uuid4().hex[:12]
