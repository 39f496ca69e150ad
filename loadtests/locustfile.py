"""Browsing sessions for Locust: people arrive, get recommendations, look, act by taste, and come back for more.

locust -f loadtests/locustfile.py --host http://127.0.0.1:8000; README.md here tells the options. Importing Locust makes
gevent replace sockets and threads of the whole process: nothing else may import this module.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from itertools import count
from random import Random
from typing import Any, ClassVar

from locust import FastHttpUser, LoadTestShape, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment
from locust.runners import WorkerRunner
from rich.console import Console

from loadtests.access import found_keys
from loadtests.options import add_options, chosen_habits, chosen_population, chosen_shape, chosen_thresholds
from loadtests.population import Act, Habits, Population, acts_on
from loadtests.report import show
from loadtests.results import Results
from loadtests.shapes import Shape
from loadtests.thresholds import Measured, judge
from loadtests.visits import Visit
from services.gateway.keys import ApiKeys
from services.runtime.errors import SettingsError

RESULTS = Results()
"""Of this process; a worker's go to its master with every report."""


class Visitor(FastHttpUser):
    """One browser after the other."""

    network_timeout = 10.0
    connection_timeout = 5.0
    keys: ClassVar[ApiKeys]
    population: ClassVar[Population]
    habits: ClassVar[Habits]
    _numbers: ClassVar[count[int]] = count()

    def on_start(self) -> None:
        """Locust calls it once for each user."""
        self.options = _options(self.environment)
        runner = self.environment.runner
        worker = runner.worker_index if isinstance(runner, WorkerRunner) else 0
        self.draw = Random(f"{self.options.seed}-{worker}-{next(self._numbers)}")

    def wait_time(self) -> float:
        """Seconds between visits, and between the pages of one: exponential, cut at five times the mean."""
        mean: float = self.options.think_seconds
        return min(self.draw.expovariate(1 / mean), 5 * mean) if mean else 0.0

    @task
    def visit(self) -> None:
        """From arriving to leaving."""
        visit = Visit.start(self.population.arrival(self.draw), self.draw)
        for page in visit.pages():
            if page > 1:
                time.sleep(self.wait_time())
            answer = self._recommended(visit)
            if answer is None:
                return
            acts = acts_on(visit.user_id, answer["items"], self.habits, self.draw)
            if acts:
                self._post(visit, acts, answer["recommendation_id"])
                if self.draw.random() < self.options.similar_share:
                    self._similar(visit, acts[0].item_id)
            if self.draw.random() < self.options.trace_share:
                self._trace(answer["recommendation_id"])

    def _recommended(self, visit: Visit) -> dict[str, Any] | None:
        wanted: int = self.options.items
        with self.client.post(
            "/v1/recommendations", json=visit.ask(wanted), headers=self._key(), catch_response=True
        ) as response:
            answer = _answer(response, 200)
            if answer is None:
                return None
            users = None if isinstance(self.environment.runner, WorkerRunner) else _users_now(self.environment)
            RESULTS.add(response.request_meta["response_time"], answer, users, time.monotonic())
            _checked(response, visit.fault(answer["items"], wanted))
            return answer

    def _post(self, visit: Visit, acts: list[Act], recommendation_id: str) -> None:
        with self.client.post(
            "/v1/events", json=visit.events(acts, recommendation_id),
            headers={"X-API-Key": self.keys.write}, catch_response=True,
        ) as response:  # fmt: skip
            answer = _answer(response, 202)
            if answer is not None:
                visit.acknowledged(acts)
                taken = answer["accepted"]
                _checked(response, None if taken == len(acts) else "Not every event of a batch was accepted.")

    def _similar(self, visit: Visit, item_id: str) -> None:
        wanted: int = self.options.items
        with self.client.get(
            f"/v1/items/{item_id}/similar?n={wanted}&user_id={visit.user_id}", name="/v1/items/{id}/similar",
            headers=self._key(), catch_response=True,
        ) as response:  # fmt: skip
            answer = _answer(response, 200)
            if answer is not None:
                _checked(response, visit.fault(answer["items"], wanted))

    def _trace(self, recommendation_id: str) -> None:
        with self.client.get(
            f"/v1/requests/{recommendation_id}/trace", name="/v1/requests/{id}/trace",
            headers=self._key(), catch_response=True,
        ) as response:  # fmt: skip
            trace = _answer(response, 200)
            if trace is not None:
                same = trace["recommendation_id"] == recommendation_id
                _checked(response, None if same else "The trace is of another recommendation.")

    def _key(self) -> dict[str, str]:
        return {"X-API-Key": self.keys.read}


class Planned(LoadTestShape):
    """Hands a shape to Locust."""

    # Locust would take any concrete shape of this file for its own; `--shape` decides, in `_opened`.
    abstract = True

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape

    def tick(self) -> tuple[int, float] | None:
        """(users, users per second), or None at the end; Locust asks once a second."""
        users = self._shape.users_at(self.get_run_time())
        return None if users is None else (users, self._shape.spawn_rate)


def _answer(response: ResponseContextManager, expected: int) -> dict[str, Any] | None:
    """The body of an answer with the expected status; else None, and the request has failed."""
    if response.status_code != expected:
        lost = f"No answer: {response.request_meta['exception']!r}."
        why = f"Status {response.status_code}." if response.status_code else lost
        response.failure(why)
        return None
    answer: dict[str, Any] = response.json()
    return answer


def _checked(response: ResponseContextManager, fault: str | None) -> None:
    if fault:
        response.failure(fault)
    else:
        response.success()


def _users_now(environment: Environment) -> int:
    """As the shape wants them where there is one: its steps, not the moments of climbing between them."""
    shape = environment.shape_class
    planned = shape.tick() if isinstance(shape, Planned) else None
    return planned[0] if planned else (environment.runner.user_count if environment.runner else 0)


def _options(environment: Environment) -> Namespace:
    options = environment.parsed_options
    assert isinstance(options, Namespace), "A locustfile is run by Locust's command line, which has options."
    return options


def _opened(environment: Environment, **_: Any) -> None:
    """Everything that can be wrong with the options is said before the first request."""
    options = _options(environment)
    try:
        Visitor.keys = found_keys()
        Visitor.population, Visitor.habits = chosen_population(options), chosen_habits(options)
        shape = chosen_shape(options)
    except (SettingsError, ValueError) as error:
        print(f"locust: {error}", file=sys.stderr)
        sys.exit(2)
    if shape is not None:
        environment.shape_class = Planned(shape)
        environment.shape_class.runner = environment.runner


def _closed(environment: Environment, **_: Any) -> None:
    """The tables and the exit code; workers have handed theirs over."""
    if isinstance(environment.runner, WorkerRunner):
        return
    total = environment.stats.total
    measured = Measured(
        total.num_requests, total.total_rps, total.fail_ratio if total.num_requests else float("nan"),
        RESULTS.latencies.quantile(0.5), RESULTS.latencies.quantile(0.99), RESULTS.degraded_share,
    )  # fmt: skip
    verdicts = judge(chosen_thresholds(_options(environment)), measured)
    show(Console(), RESULTS, verdicts)
    environment.process_exit_code = 0 if all(verdict.held for verdict in verdicts) else 1


def _with_options(parser: LocustArgumentParser, **_: Any) -> None:
    add_options(parser)


def _started_anew(**_: Any) -> None:
    RESULTS.clear()


def _handed_over(data: dict[str, Any], **_: Any) -> None:
    data["cascade"] = RESULTS.handed_over()


def _merged(data: dict[str, Any], **_: Any) -> None:
    RESULTS.merge(data["cascade"])


events.init_command_line_parser.add_listener(_with_options)
events.init.add_listener(_opened)
events.test_start.add_listener(_started_anew)
events.reset_stats.add_listener(_started_anew)
events.report_to_master.add_listener(_handed_over)
events.worker_report.add_listener(_merged)
events.quitting.add_listener(_closed)
