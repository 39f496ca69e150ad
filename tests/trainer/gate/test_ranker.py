from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from models.artifact import Manifest, seal, writing
from models.ranking import MODEL_FILE
from services.trainer.gate import Check, GateConfig, Verdict, judge_ranker, show
from tests.trainer.gate.rankers import CHAMPION, SPEC, TRUTH, Crowd, write_ranker

CONFIG = GateConfig(resamples=1000, rounds=6)
THETA = 1 / np.log2(1.0 + np.arange(1, 11))


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ranker(tmp_path_factory.mktemp("gate") / "champion", CHAMPION)


def named(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


def test_an_equal_model_passes_and_is_not_better(champion: Path, tmp_path: Path) -> None:
    same, examples = write_ranker(tmp_path / "same", CHAMPION), Crowd().examples()
    verdict = judge_ranker(champion, same, examples, CONFIG)
    assert verdict.passed
    assert named(verdict, "ndcg_at_10").figures["difference"] == 0
    refused = judge_ranker(champion, same, examples, replace(CONFIG, require="better"))
    assert [reason.split(":")[0] for reason in refused.reasons] == ["ndcg_at_10"]


def test_a_better_model_passes_also_where_better_is_required(champion: Path, tmp_path: Path) -> None:
    better = write_ranker(tmp_path / "better", TRUTH)
    verdict = judge_ranker(champion, better, Crowd().examples(), replace(CONFIG, require="better"))
    assert verdict.passed, verdict.reasons
    assert named(verdict, "log_loss").figures["high"] < 0


def test_a_better_model_passes_when_people_look_at_the_champions_top_only(champion: Path, tmp_path: Path) -> None:
    better = write_ranker(tmp_path / "better", TRUTH)
    verdict = judge_ranker(champion, better, Crowd(theta=THETA**2).examples(1), CONFIG)
    figures = named(verdict, "ndcg_at_10").figures
    assert figures["unweighted_difference"] < 0 < figures["low"]
    assert verdict.passed, verdict.reasons


def test_a_curve_that_is_known_is_used(champion: Path, tmp_path: Path) -> None:
    better, examples = write_ranker(tmp_path / "better", TRUTH), Crowd(theta=THETA).examples()
    verdict = judge_ranker(champion, better, examples, CONFIG, examination=np.ones(10))
    figures = named(verdict, "ndcg_at_10").figures
    assert figures["difference"] == pytest.approx(figures["unweighted_difference"])


def test_a_worse_model_is_refused_with_the_size_of_the_loss(champion: Path, tmp_path: Path) -> None:
    worse = write_ranker(tmp_path / "worse", {"two_tower": 1.0, "popularity": 1.5})
    verdict = judge_ranker(champion, worse, Crowd().examples(), CONFIG)
    check = named(verdict, "ndcg_at_10")
    assert not check.passed
    assert check.figures["high"] < -CONFIG.ndcg_tolerance
    assert check.sentence.startswith("worse by 0.")


@pytest.mark.parametrize("crowd", [Crowd(), Crowd(users=3, slates_each=1)], ids=["many clicks", "few clicks"])
def test_scores_upside_down_are_refused_however_few_clicks_there_are(
    champion: Path, tmp_path: Path, crowd: Crowd
) -> None:
    inverted = write_ranker(tmp_path / "inverted", {"two_tower": -1.0})
    verdict = judge_ranker(champion, inverted, crowd.examples(), CONFIG)
    assert any("against the champion: rank correlation -1.00" in reason for reason in verdict.reasons)


def test_too_few_clicks_decide_nothing_and_the_config_says_what_follows(champion: Path, tmp_path: Path) -> None:
    few = Crowd(users=5, slates_each=2).examples()
    close = write_ranker(tmp_path / "close", TRUTH)
    verdict = judge_ranker(champion, close, few, CONFIG)
    assert verdict.passed
    assert named(verdict, "ndcg_at_10").sentence.startswith("undecided: ")
    assert not judge_ranker(champion, close, few, replace(CONFIG, when_undecided="refuse")).passed
    stranger = write_ranker(tmp_path / "stranger", {"popularity": 1.0})
    refused = judge_ranker(champion, stranger, few, replace(CONFIG, min_agreement=0.6))
    assert [reason.split(":")[0] for reason in refused.reasons] == ["agreement"]


def test_a_model_with_weights_that_are_no_numbers_is_refused(champion: Path, tmp_path: Path) -> None:
    broken = write_ranker(tmp_path / "broken", {"two_tower": float("nan")})
    examples = Crowd(users=22, slates_each=1).examples()
    verdict = judge_ranker(champion, broken, examples, CONFIG)
    assert verdict.reasons == ("scores: the challenger gave no number for 220 of 220 rows",)


def test_a_number_for_known_rows_only_is_not_enough(champion: Path, tmp_path: Path) -> None:
    # Not served like this either: features are unknown for new items and new users.
    careless = write_ranker(tmp_path / "careless", CHAMPION, unknown_is_zero=False)
    verdict = judge_ranker(champion, careless, Crowd(users=22, slates_each=1).examples(), CONFIG)
    assert verdict.reasons == ("scores: gives no number for an unknown item of an unknown user",)


def test_a_slice_that_suffers_is_refused_and_named(champion: Path, tmp_path: Path) -> None:
    # Better for everybody but the newcomers, whom it serves upside down.
    mixed = write_ranker(tmp_path / "mixed", TRUTH, flipped_below=("log_seen_count", float(np.log1p(5))))
    crowd = Crowd(users=400, newcomers=0.15)
    verdict = judge_ranker(champion, mixed, crowd.examples(), CONFIG)
    assert named(verdict, "ndcg_at_10").passed
    assert "new_users_ndcg worse by" in named(verdict, "slices").sentence
    assert "tenured" not in named(verdict, "slices").sentence


def test_many_slices_of_an_equal_model_do_not_refuse_by_chance(champion: Path, tmp_path: Path) -> None:
    # Noise that neither helps nor hurts: 18 slices a time, ten times.
    noisy = write_ranker(tmp_path / "noisy", {"two_tower": 1.0, "segment_popularity": 0.05})
    refused = [
        not named(judge_ranker(champion, noisy, Crowd().examples(seed), CONFIG), "slices").passed for seed in range(10)
    ]
    assert sum(refused) == 0


def test_a_folder_that_was_tampered_with_is_refused(champion: Path, tmp_path: Path) -> None:
    damaged = write_ranker(tmp_path / "damaged", CHAMPION)
    (damaged / MODEL_FILE).write_bytes(b"something else")
    verdict = judge_ranker(champion, damaged, Crowd(users=2).examples(), CONFIG)
    assert "its checksum differs" in verdict.reasons[0]


def test_a_sealed_file_that_is_no_model_is_refused(champion: Path, tmp_path: Path) -> None:
    with writing(tmp_path / "empty") as draft:
        (draft / MODEL_FILE).write_bytes(b"no model")
        seal(draft, Manifest("ranker", "formula", spec=SPEC.to_json()))
    verdict = judge_ranker(champion, tmp_path / "empty", Crowd(users=2).examples(), CONFIG)
    assert verdict.reasons[0].startswith("integrity: cannot be loaded")


def test_rows_of_other_columns_are_refused(champion: Path, tmp_path: Path) -> None:
    examples = Crowd(users=2).examples()
    other = replace(examples, columns=(*examples.columns[:-1], "shoe_size"))
    verdict = judge_ranker(champion, write_ranker(tmp_path / "same", CHAMPION), other, CONFIG)
    assert "shoe_size" in verdict.reasons[0]


def test_without_examples_nobody_passes(champion: Path, tmp_path: Path) -> None:
    examples = Crowd(users=2).examples()
    nothing = examples.of_slates(np.zeros(examples.group_sizes.size, np.bool_))
    verdict = judge_ranker(champion, write_ranker(tmp_path / "same", CHAMPION), nothing, CONFIG)
    assert verdict.reasons == ("examples: there are no held-out examples to judge on",)


def test_a_broken_champion_can_be_replaced(tmp_path: Path) -> None:
    broken, good = (
        write_ranker(tmp_path / "broken", {"two_tower": float("nan")}),
        write_ranker(tmp_path / "good", TRUTH),
    )
    assert judge_ranker(broken, good, Crowd(users=3).examples(), CONFIG).passed


def test_one_seed_gives_one_verdict(champion: Path, tmp_path: Path) -> None:
    close, examples = write_ranker(tmp_path / "close", TRUTH), Crowd().examples()
    first, second = (judge_ranker(champion, close, examples, CONFIG, seed=3) for _ in range(2))
    untimed = [[check for check in verdict.checks if check.name != "latency_ms"] for verdict in (first, second)]
    assert untimed[0] == untimed[1]


def test_a_verdict_is_json_and_metrics_and_a_table(champion: Path, tmp_path: Path) -> None:
    verdict = judge_ranker(champion, write_ranker(tmp_path / "worse", {"two_tower": -1.0}), Crowd().examples(), CONFIG)
    kept = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert kept["passed"] is False
    assert kept["checks"][2]["figures"]["difference"] == verdict.metrics()["gate_ndcg_at_10_difference"]
    console = Console(width=120, record=True, file=io.StringIO())
    show(console, verdict)
    text = console.export_text()
    assert "refused" in text
    assert all(check.name in text for check in verdict.checks)


def test_progress_counts_the_checks(champion: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    verdict = judge_ranker(
        champion, write_ranker(tmp_path / "same", CHAMPION), Crowd(users=30).examples(), CONFIG,
        progress=lambda done, planned: seen.append((done, planned)),
    )  # fmt: skip
    assert [done for done, _ in seen] == list(range(1, len(verdict.checks) + 1))
    assert all(done <= planned for done, planned in seen)
