"""Which aliases move when a release comes, wins or goes. Pure: from aliases as they are to the moves to make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.runtime.registry import CHALLENGER, CHAMPION, PREVIOUS

RANKER = "ranker"
RETRIEVAL = ("two_tower", "co_visitation", "popularity", "ease")
"""One tower, its index and its companions: they always move together."""
MODELS = (RANKER, *RETRIEVAL)

Aliases = Mapping[str, Mapping[str, str]]
"""Model -> alias -> version."""
Moves = Mapping[str, Mapping[str, str | None]]
"""Model -> alias -> the version it is to mean; None for none. Making them twice changes nothing more."""


def family(name: str) -> tuple[str, ...]:
    """The models that move with one."""
    return RETRIEVAL if name in RETRIEVAL else (name,)


def coming(challengers: Mapping[str, str]) -> Moves:
    """A release begins to be tried."""
    return {name: {CHALLENGER: version} for name, version in challengers.items()}


def going(challengers: Mapping[str, str], aliases: Aliases) -> Moves:
    """A release is tried no longer; an alias that means something else by now stays."""
    return {
        name: {CHALLENGER: None}
        for name, version in challengers.items()
        if aliases.get(name, {}).get(CHALLENGER) == version
    }


def winning(versions: Mapping[str, str], aliases: Aliases) -> Moves:
    """Versions become champions, and the champions before them `previous`."""
    return {name: _winning(version, aliases.get(name, {})) for name, version in versions.items()}


def returning(names: Iterable[str], aliases: Aliases) -> Moves:
    """Champions and those before them change places, so that a second return leads back."""
    return {name: {CHAMPION: aliases[name][PREVIOUS], PREVIOUS: aliases[name][CHAMPION]} for name in names}


def after(aliases: Aliases, moves: Moves) -> dict[str, dict[str, str]]:
    """The aliases once the moves are made."""
    moved = {name: dict(found) for name, found in aliases.items()}
    for name, changes in moves.items():
        for alias, version in changes.items():
            if version is None:
                moved.setdefault(name, {}).pop(alias, None)
            else:
                moved.setdefault(name, {})[alias] = version
    return moved


def _winning(version: str, found: Mapping[str, str]) -> dict[str, str | None]:
    champion = found.get(CHAMPION)
    moves: dict[str, str | None] = {}
    if champion != version:
        moves[CHAMPION] = version
        if champion is not None:
            moves[PREVIOUS] = champion
    if found.get(CHALLENGER) == version:
        moves[CHALLENGER] = None
    return moves
