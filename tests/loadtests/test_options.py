"""The command line of the load test, and where it finds its keys."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from loadtests.access import found_keys
from loadtests.options import add_options, chosen_shape, chosen_thresholds
from loadtests.shapes import Ramp, Soak
from loadtests.thresholds import Thresholds
from services.gateway.keys import KEYS_FILE, read_or_create_keys
from services.runtime.errors import SettingsError


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for option in ("--users", "--spawn-rate", "--run-time"):
        parser.add_argument(option, type=int, dest="num_users" if option == "--users" else None)
    add_options(parser)
    return parser.parse_args(arguments)


def test_the_shape_is_chosen_by_name() -> None:
    assert chosen_shape(parsed()) is None
    ramp = parsed("--shape", "ramp", "--target-users", "6", "--ramp-seconds", "30", "--ramp-steps", "3")
    assert chosen_shape(ramp) == Ramp(6, 30.0, 3)
    assert chosen_shape(parsed("--shape", "soak", "--target-users", "6", "--soak-seconds", "5")) == Soak(6, 5.0)


@pytest.mark.parametrize("option", ["--users", "--spawn-rate", "--run-time"])
def test_a_shape_beside_an_option_it_would_ignore_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} has no meaning with --shape soak"):
        chosen_shape(parsed("--shape", "soak", option, "5"))


def test_only_failures_have_a_threshold_of_their_own_accord() -> None:
    assert chosen_thresholds(parsed()) == Thresholds(max_failures=0.0)
    assert chosen_thresholds(parsed("--max-p99-ms", "200", "--max-degraded", "0.05", "--min-rps", "9")) == Thresholds(
        max_failures=0.0, max_p99_ms=200.0, max_degraded=0.05, min_rps=9.0
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("--max-failures", "1.5"), ("--new-share", "-1"), ("--items", "0"), ("--think-seconds", "-1"), ("--eta", "nan")],
)
def test_a_value_out_of_range_is_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(option, value)
    assert f"argument {option}: must be" in capsys.readouterr().err


def test_keys_come_from_the_environment_before_the_file_before_the_data_folder(tmp_path: Path) -> None:
    kept = read_or_create_keys(tmp_path, {})
    other = tmp_path / "other.env"
    other.write_text("CASCADE_READ_KEY=other-read\nCASCADE_WRITE_KEY=other-write\n")
    folder = {"CASCADE_DATA_DIR": str(tmp_path)}
    named = folder | {"CASCADE_KEYS_FILE": str(other)}
    assert found_keys(folder) == kept
    assert (found_keys(named).read, found_keys(named).write) == ("other-read", "other-write")
    assert found_keys(named | {"CASCADE_READ_KEY": "mine"}).read == "mine"


def test_missing_keys_are_asked_for_and_never_made_up(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="set CASCADE_READ_KEY and CASCADE_WRITE_KEY"):
        found_keys({"CASCADE_DATA_DIR": str(tmp_path)})
    assert not (tmp_path / KEYS_FILE).exists()
