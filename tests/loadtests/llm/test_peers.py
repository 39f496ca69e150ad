"""Real processes, few calls: the client, the upstream and our gateway as the bench starts them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadtests.llm import budget, hits, peers
from loadtests.llm.configs import KEY, POOR_BUDGET_USD
from loadtests.llm.latency import compare, fresh
from loadtests.llm.peers import Caller, Peer
from loadtests.llm.plain_caller import plain_caller
from loadtests.llm.rounds import Plan
from services.runtime.errors import Unavailable


@asynccontextmanager
async def chain(folder: Path) -> AsyncIterator[tuple[Caller, Peer, Peer]]:
    """A client, an upstream and our gateway in front of it."""
    async with (
        peers.caller() as caller,
        peers.upstream(folder) as upstream,
        peers.gateway(folder, [upstream.port]) as ours,
    ):
        yield caller, upstream, ours


async def test_each_peer_answers_every_call_and_the_gateway_uses_cpu_for_it(tmp_path: Path) -> None:
    async with chain(tmp_path) as (caller, upstream, ours):
        rates = {"direct": 100.0, "ours": 100.0}
        for stream in (False, True):
            told = await compare(caller, {"direct": upstream, "ours": ours}, rates, 2, 0.5, stream=stream)
            for rounds in told.rounds.values():
                assert [(one.rate, one.failed) for one in rounds] == [(100.0, 0)] * 2
                assert all(0 < one.p50 <= one.p99 for one in rounds)
                assert all(0 <= one.others <= 1 for one in rounds)
            assert told.told("ours", "cpu_ms") > 0
        found = await hits.measure(caller, ours, upstream, tmp_path, calls=100)
        assert found.in_process > 0
        assert found.loopback_p50 > 0
        spent = await budget.measure(caller, ours)
        assert spent.inside
        assert 0 < spent.told_usd <= POOR_BUDGET_USD


async def test_answers_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    async with chain(tmp_path) as (caller, upstream, ours):
        refused = await caller.run(Plan(ours.url, "sk-of-nobody-0123456789", 3, first=fresh()))
        assert (refused.statuses, refused.milliseconds) == ({"401": 3}, [])
        assert "key" in refused.complaint
        with (
            plain_caller(Plan(ours.url, "sk-of-nobody-0123456789", 1)) as calls,
            pytest.raises(Unavailable, match="401"),
        ):
            calls.call()
        upstream.process.kill()
        upstream.process.wait()
        away = await caller.run(Plan(upstream.url, KEY, 3, rate=100.0))
        assert (away.failed, away.statuses) == (3, {"none": 3})


async def test_a_peer_that_does_not_start_is_told_with_its_own_last_words(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="models.toml"):
        async with peers.gateway(tmp_path, []):
            raise AssertionError("it has no backends")
