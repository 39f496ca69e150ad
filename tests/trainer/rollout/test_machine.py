from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.registry import CHALLENGER, CHAMPION, PREVIOUS
from services.trainer.rollout.aliases import after, coming, going, winning
from services.trainer.rollout.machine import (
    LONGEST_TICK_S,
    ON_ITS_WAY,
    ROLLED_BACK,
    Figures,
    Guardrail,
    Rollout,
    advanced,
    begun,
)
from services.trainer.rollout.settings import Step

STEPS = (
    Step(stage="shadow", share=0.0, seconds=10, samples=5, longest=20),
    Step(stage="canary", share=0.05, seconds=10, samples=5, longest=20),
    Step(stage="ramp", share=0.25, seconds=10, samples=5, longest=20),
    Step(stage="ramp", share=0.5, seconds=10, samples=5, longest=20),
)
BREACH = Guardrail("errors", 0.0, 1.0, 0.02, 30, "The challenger failed 30 of 30 times, the champion 0 of 30.")
SECOND = 1_000_000


def fresh() -> Rollout:
    """In the shadow step, just entered."""
    return advanced(begun("r", {"ranker": "2"}, {"ranker": "1"}, 0), Figures(0), 0, STEPS, 600)


def after_seconds(rollout: Rollout, seconds: int, figures: Figures) -> Rollout:
    """The rollout after so many looks, one a second."""
    for _ in range(seconds):
        rollout = advanced(rollout, figures, rollout.seen_us + SECOND, STEPS, 600)
    return rollout


def test_a_step_needs_its_time_and_its_samples_both() -> None:
    assert after_seconds(fresh(), 9, Figures(1000)).stage == "shadow"
    assert after_seconds(fresh(), 15, Figures(4)).stage == "shadow"
    assert after_seconds(fresh(), 10, Figures(5)).stage == "canary"


def test_with_little_traffic_a_step_ends_after_its_longest_time() -> None:
    assert after_seconds(fresh(), 19, Figures(1)).stage == "shadow"
    canary = after_seconds(fresh(), 20, Figures(1))
    assert canary.stage == "canary"
    assert after_seconds(canary, 20, Figures(0)).stage == "ramp"


def test_a_shadow_that_nobody_has_asked_waits() -> None:
    waiting = after_seconds(fresh(), 100, Figures(0))
    assert (waiting.stage, waiting.reason) == ("shadow", "Waits: nobody has asked it yet.")
    asked = after_seconds(waiting, 1, Figures(1))
    assert (asked.stage, asked.reason) == ("canary", "")


def test_a_challenger_that_was_asked_and_never_loaded_ends_with_the_step() -> None:
    assert after_seconds(fresh(), 19, Figures(0, missing=7)).stage == "shadow"
    ended = after_seconds(fresh(), 20, Figures(0, missing=7))
    assert ended.stage == ROLLED_BACK
    assert ended.reason.startswith("The challenger was asked 7 times and never loaded")
    assert after_seconds(fresh(), 20, Figures(1, missing=7)).stage == "canary"


def test_the_whole_path_ends_with_everybody() -> None:
    seen = [fresh()]
    while seen[-1].on_its_way:
        seen.append(after_seconds(seen[-1], 10, Figures(5)))
    assert [(step.stage, step.share) for step in seen] == [
        ("shadow", 0.0), ("canary", 0.05), ("ramp", 0.25), ("ramp", 0.5), ("champion", 1.0)
    ]  # fmt: skip


def test_a_breach_ends_it_at_once_and_says_why() -> None:
    ended = after_seconds(fresh(), 1, Figures(30, (BREACH,)))
    assert (ended.stage, ended.share, ended.reason) == (ROLLED_BACK, 0.0, BREACH.breach)
    assert after_seconds(ended, 5, Figures(1000)) == ended


def test_time_in_which_nobody_looked_or_could_see_does_not_count() -> None:
    asleep = advanced(fresh(), Figures(1000), 3600 * SECOND, STEPS, 600)
    assert (asleep.stage, asleep.watched_s) == ("shadow", LONGEST_TICK_S)
    blind = after_seconds(fresh(), 300, Figures(1000, unread="http://gateway cannot be read."))
    assert (blind.stage, blind.watched_s, blind.reason) == ("shadow", 0.0, "Waits: http://gateway cannot be read.")
    assert after_seconds(blind, 300, Figures(1000, unread="It cannot be read.")).stage == ROLLED_BACK
    assert after_seconds(blind, 1, Figures(0)).blind_s == 0


looks = st.lists(
    st.tuples(
        st.floats(-5, 3700),
        st.integers(0, 20),
        st.booleans() | st.just(False) | st.just(False),
        st.sampled_from(["", "", "", "It cannot be read."]),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(looks=looks, crash_after=st.integers(0, 3))
def test_whatever_is_seen_aliases_stay_whole_and_nobody_loses_the_champion(
    looks: list[tuple[float, int, bool, str]], crash_after: int
) -> None:
    challengers = {"ranker": "2", "two_tower": "2", "co_visitation": "2", "popularity": "2", "ease": "2"}
    champions = dict.fromkeys(challengers, "1")
    aliases = {name: {CHAMPION: version} for name, version in champions.items()}
    aliases = after(aliases, coming(challengers))
    rollout, now = begun("r", challengers, champions, 0), 0.0
    for passed, samples, breach, unread in looks:
        now += passed
        before = rollout
        figures = Figures(samples, (BREACH,) if breach else (replace(BREACH, breach=""),), unread)
        rollout = advanced(rollout, figures, round(now * SECOND), STEPS, 600)
        if not before.on_its_way:
            assert rollout == before
            continue
        if breach:
            assert rollout.stage == ROLLED_BACK
        assert rollout.stage == ROLLED_BACK or rollout.share >= before.share
        assert rollout.step - before.step in (0, 1)
        if not rollout.on_its_way:
            moves = (going if rollout.stage == ROLLED_BACK else winning)(challengers, aliases)
            # Killed half-way and made again from the note: the same end.
            halfway = after(aliases, dict(list(moves.items())[:crash_after]))
            assert after(halfway, moves) == after(aliases, moves)
            aliases = after(aliases, moves)
    for found in aliases.values():
        if rollout.stage in ON_ITS_WAY:
            assert found == {CHAMPION: "1", CHALLENGER: "2"}
        elif rollout.stage == ROLLED_BACK:
            assert found == {CHAMPION: "1"}
        else:
            assert found == {CHAMPION: "2", PREVIOUS: "1"}
