"""The command line of the load test: what can be chosen, and what was."""

from __future__ import annotations

import argparse

from loadtests.population import Habits, Population
from loadtests.shapes import Ramp, Shape, Soak
from loadtests.thresholds import Thresholds


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds ours to Locust's parser, in groups, which Locust leaves out of its web form: they hold for the process."""
    who = parser.add_argument_group("Visitors")
    who.add_argument("--known-users", type=_count, default=6040, help="users 1 to N are known to the models")
    who.add_argument("--new-share", type=_share, default=0.05, help="share of visits by somebody nobody knows")
    who.add_argument(
        "--zipf", type=_at_least_zero, default=0.6, help="the k-th busiest user comes with weight 1/k^ZIPF"
    )
    who.add_argument("--eta", type=_at_least_zero, default=1.0, help="position bias: place k is looked at with 1/k^ETA")
    who.add_argument("--items", type=_count, default=10, help="items asked for")
    who.add_argument("--think-seconds", type=_at_least_zero, default=2.0, help="mean pause between two pages")
    who.add_argument("--similar-share", type=_share, default=0.2, help="share of acts followed by similar items")
    who.add_argument("--trace-share", type=_share, default=0.05, help="share of answers whose trace is read")
    who.add_argument("--seed", type=int, default=0, help="decides everything random")
    shape = parser.add_argument_group("Shape", "instead of --users, --spawn-rate and --run-time")
    shape.add_argument(
        "--shape", choices=("none", "ramp", "soak"), default="none",
        help="ramp: in steps up to --target-users; soak: --target-users from beginning to end",
    )  # fmt: skip
    shape.add_argument("--target-users", type=_count, default=40, help="users of the soak and of the ramp's last step")
    shape.add_argument("--ramp-seconds", type=_at_least_zero, default=120.0, help="length of the whole ramp")
    shape.add_argument("--ramp-steps", type=_count, default=8, help="steps of the ramp")
    shape.add_argument("--soak-seconds", type=_at_least_zero, default=600.0, help="length of the soak")
    limits = parser.add_argument_group("Thresholds", "the exit code is 1 when one of them is breached")
    limits.add_argument("--max-p50-ms", type=_at_least_zero, help="of recommendations, as the client sees them")
    limits.add_argument("--max-p99-ms", type=_at_least_zero, help="of recommendations, as the client sees them")
    limits.add_argument("--max-failures", type=_share, default=0.0, help="share of all requests")
    limits.add_argument("--min-rps", type=_at_least_zero, help="requests of every kind per second")
    limits.add_argument("--max-degraded", type=_share, help="share of recommendations that were not fresh")


def chosen_population(options: argparse.Namespace) -> Population:
    """Who comes."""
    return Population(options.known_users, options.new_share, options.zipf, options.seed)


def chosen_habits(options: argparse.Namespace) -> Habits:
    """What they do."""
    return Habits(eta=options.eta)


def chosen_shape(options: argparse.Namespace) -> Shape | None:
    """None leaves it to --users, --spawn-rate and --run-time. ValueError names the option that is wrong."""
    if options.shape == "none":
        return None
    for option, chosen in (
        ("--users", options.num_users), ("--spawn-rate", options.spawn_rate), ("--run-time", options.run_time)
    ):  # fmt: skip
        if chosen:
            raise ValueError(f"{option} has no meaning with --shape {options.shape}, which says how many users when.")
    if options.shape == "ramp":
        return Ramp(options.target_users, options.ramp_seconds, options.ramp_steps)
    return Soak(options.target_users, options.soak_seconds)


def chosen_thresholds(options: argparse.Namespace) -> Thresholds:
    """What must hold."""
    return Thresholds(
        options.max_failures, options.max_p50_ms, options.max_p99_ms, options.min_rps, options.max_degraded
    )


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, not {text}")
    return value


def _at_least_zero(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return value
