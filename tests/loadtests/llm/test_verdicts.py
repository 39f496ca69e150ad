"""What a run must show."""

from __future__ import annotations

import math
from dataclasses import replace

import orjson
import pytest

from loadtests.llm.budget import Spending
from loadtests.llm.hits import Hits
from loadtests.llm.killing import Killing
from loadtests.llm.latency import Compared, Round
from loadtests.llm.memory import Memory
from loadtests.llm.rounds import Seen
from loadtests.llm.verdicts import Report


def compared(ours: float, litellm: float | None) -> Compared:
    peers = {"direct": 0.2, "ours": ours} | ({} if litellm is None else {"LiteLLM": litellm})
    return Compared(False, {name: [Round(300.0, cpu, 2 * cpu, cpu, 0)] for name, cpu in peers.items()})


def report(ours: float = 0.6, litellm: float | None = 12.0) -> Report:
    seen = Seen(statuses={"200": 10}, streams={"whole": 8, "broke_off": 2})
    return Report(
        compared(ours, litellm),
        compared(ours, litellm),
        Hits(0.4, 0.9, 0.5, 0.2, 0.2),
        Memory(1000, [100.0, 101.0], 900.0, 0),
        Killing(seen, seen, 0.1, 0.9),
        Spending(0.004, 0.003, 0.003, 40, 110, 0),
    )


def failing(told: Report) -> list[str]:
    return [verdict.name for verdict in told.verdicts() if not verdict.held]


def test_a_run_that_keeps_every_promise_has_no_breach_though_streams_broke_off() -> None:
    assert failing(report()) == []
    assert len(report().verdicts()) == len(report(litellm=None).verdicts()) + 1


def test_each_breach_is_named() -> None:
    assert "added p50 at 300 calls/s" in failing(report(ours=1.3))
    assert failing(report(litellm=8.0)) == ["CPU for a call, share of LiteLLM's"]
    assert failing(replace(report(), hits=Hits(0.6, 0.9, 0.7, 0.2, 0.2))) == ["hit of the exact cache, p50"]
    assert failing(replace(report(), memory=Memory(1000, [100.0, 104.0], 9.0, 0))) == ["memory grown over 1000 calls"]


@pytest.mark.parametrize(
    ("killing", "name"),
    [
        (Killing(Seen(statuses={"503": 1}), Seen(), 0.1, 0.9), "whole calls failed when an upstream was killed"),
        (Killing(Seen(), Seen(streams={"restarted": 1}), 0.1, 0.9), "streams begun again"),
        (Killing(Seen(), Seen(), math.nan, 0.9), "breaker opens and closes"),
        (Killing(Seen(), Seen(), 0.1, math.nan), "breaker opens and closes"),
    ],
)  # fmt: skip
def test_a_killed_upstream_may_only_break_off_streams(killing: Killing, name: str) -> None:
    assert failing(replace(report(), killing=killing)) == [name]


@pytest.mark.parametrize(
    "spending",
    [
        Spending(0.004, 0.0041, 0.0041, 40, 110, 0),
        Spending(0.004, 0.003, 0.0035, 40, 110, 0),
        Spending(0.004, 0.003, 0.003, 150, 0, 0),
        Spending(0.004, 0.003, 0.003, 40, 109, 1),
    ],
)
def test_a_budget_holds_when_both_counts_agree_on_it_and_calls_were_refused(spending: Spending) -> None:
    assert failing(replace(report(), spending=spending)) == ["50 calls at once spend"]


def test_figures_are_plain() -> None:
    figures = orjson.loads(orjson.dumps(report().summary()))
    assert figures["cpu_share_of_litellm"] == pytest.approx(0.05)
    assert figures["killed_upstream"]["streams"] == {"whole": 8, "broke_off": 2}
