from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from services.trainer.rollout.readings import Meter


@contextmanager
def page(registry: CollectorRegistry, port: int = 0) -> Iterator[str]:
    """A real metrics page over a registry, as every service has one."""
    server, thread = start_http_server(port, "127.0.0.1", registry)
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class Counts:
    """A gateway's counters."""

    def __init__(self, started: float) -> None:
        self.registry = CollectorRegistry()
        Gauge("process_start_time_seconds", "Began.", registry=self.registry).set(started)
        self.answers = Counter("cascade_arm_answers_total", "Answers.", ("arm", "outcome"), registry=self.registry)
        self.seconds = Histogram(
            "cascade_arm_seconds", "Seconds.", ("arm", "stage"), buckets=(0.01, 0.1), registry=self.registry
        )
        self.reactions = Counter(
            "cascade_reactions_total", "Reactions.", ("type", "slot", "arm", "position"), registry=self.registry
        )


def test_gains_begin_with_the_first_reading_and_survive_a_restart_of_the_process() -> None:
    counts = Counts(started=1)
    counts.answers.labels("challenger", "failed").inc(100)
    with page(counts.registry) as url:
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        meter = Meter([url])
        assert meter.gained() == ({}, "")
        counts.answers.labels("challenger", "failed").inc(3)
        counts.seconds.labels("shadow", "ranking").observe(0.05)
        for slot in ("ranked", "fresh"):
            counts.reactions.labels("click", slot, "champion", "1").inc(2)
        counts.reactions.labels("hide", "ranked", "champion", "1").inc(7)
        gains, unread = meter.gained()
        assert unread == ""
        assert gains == {
            "answers challenger failed": 3, "clicks champion": 4,
            "seconds shadow ranking 0.01": 0, "seconds shadow ranking 0.1": 1, "seconds shadow ranking +Inf": 1,
        }  # fmt: skip
    gains, unread = meter.gained()
    assert not gains
    assert unread.startswith(f"{url} cannot be read")
    restarted = Counts(started=2)
    restarted.answers.labels("challenger", "failed").inc(500)
    with page(restarted.registry, port):
        assert meter.gained() == ({"answers challenger failed": 500}, "")


def test_a_page_that_is_not_prometheus_is_told_not_raised() -> None:
    registry = CollectorRegistry()
    with page(registry) as url:
        assert Meter([url, "http://127.0.0.1:9/metrics"]).gained()[1].startswith("http://127.0.0.1:9/metrics cannot")
