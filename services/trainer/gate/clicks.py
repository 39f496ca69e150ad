"""What clicks say: NDCG, log-loss, calibration, and, where there are too few, whether the two at least agree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from services.trainer.gate.clickmodel import calibration_error
from services.trainer.gate.config import GateConfig
from services.trainer.gate.contest import Contest
from services.trainer.gate.lists import rank_correlation
from services.trainer.gate.paired import Difference
from services.trainer.gate.verdict import UNDECIDED, Check


def click_checks(contest: Contest) -> Iterator[Check]:
    """NDCG, log-loss, calibration and agreement."""
    yield from (check(contest) for check in (ndcg_check, log_loss_check, calibration_check, agreement_check))


def ndcg_check(contest: Contest) -> Check:
    """NDCG@10 over slates with a click, each click weighed by how seldom its place is looked at.

    Clicks were caused by the champion's order, and counting them as they are favours whoever repeats it. That form is
    reported beside.
    """
    plain, weighted = contest.ndcg_difference(), contest.ndcg_difference(weighted=True)
    if plain is None or weighted is None or not contest.decided:
        return undecided("ndcg_at_10", weighted, int(contest.clicked_slates.sum()), contest.config)
    check = judged("ndcg_at_10", weighted, contest.config.ndcg_tolerance, contest.config)
    unweighted = {f"unweighted_{name}": value for name, value in plain.figures().items()}
    sentence = f"{check.sentence} by inverse propensity; as clicked {plain}"
    return Check(check.name, check.passed, sentence, {**check.figures, **unweighted})


def log_loss_check(contest: Contest) -> Check:
    """Log-loss of a click, both calibrated in the same way on the older half and measured on the newer."""
    found = contest.log_loss_difference()
    clicks = int(contest.clicked[contest.newer].sum())
    if found is None or too_few(clicks, found.users, contest.config):
        return undecided("log_loss", found, clicks, contest.config)
    return judged("log_loss", found, contest.config.log_loss_tolerance, contest.config, must_gain=False)


def calibration_check(contest: Contest) -> Check:
    """Expected calibration error of the challenger on the newer half, after the same calibration as the champion."""
    config, newer = contest.config, contest.newer
    clicks = int(contest.clicked[newer].sum())
    users = np.unique(contest.examples.user_ids[newer]).size
    if too_few(clicks, users, config) or not contest.clicked[~newer].any():
        return undecided("calibration", None, clicks, config, users)
    ours, theirs = (
        calibration_error(contest.probabilities[side][newer], contest.clicked[newer])
        for side in ("challenger", "champion")
    )
    figures = {"champion": theirs, "challenger": ours, "difference": ours - theirs}
    bound = max(config.max_ece, theirs + config.ece_tolerance)
    if ours <= bound:
        return Check("calibration", True, f"expected error {ours:.4f}, allowed {bound:.4f}", figures)
    return Check(
        "calibration",
        False,
        f"expected error {ours:.4f} is above {bound:.4f}; the champion's is {theirs:.4f}",
        figures,
    )


def agreement_check(contest: Contest) -> Check:
    """Rank correlation with the champion within slates: upside down is refused however few clicks there are."""
    config = contest.config
    scores = contest.scores
    per_slate = rank_correlation(scores["challenger"], scores["champion"], contest.examples.group_sizes)
    mean = float(np.nanmean(per_slate)) if np.isfinite(per_slate).any() else 0.0
    figures = {"challenger": mean}
    if mean < 0:
        return Check("agreement", False, f"orders items against the champion: rank correlation {mean:+.2f}", figures)
    if contest.decided or config.when_undecided == "refuse" or mean >= config.min_agreement:
        return Check("agreement", True, f"rank correlation {mean:+.2f} with the champion", figures)
    return Check(
        "agreement",
        False,
        f"rank correlation {mean:+.2f} with the champion is below {config.min_agreement:.2f}, and clicks are too few "
        "to say that it is right",
        figures,
    )


def judged(name: str, found: Difference, tolerance: float, config: GateConfig, *, must_gain: bool = True) -> Check:
    """The rule for every paired difference; `must_gain` checks are those that `require: better` speaks of."""
    if found.surely_worse(tolerance):
        return Check(name, False, f"{found}, tolerated {tolerance:.4f}", found.figures())
    if must_gain and config.require == "better" and not found.surely_better():
        return Check(name, False, f"{found}: not surely better", found.figures())
    return Check(name, True, str(found), found.figures())


def too_few(clicks: int, users: int, config: GateConfig) -> bool:
    """True when nothing can be decided."""
    return clicks < config.min_clicks or users < config.min_users


def undecided(name: str, found: Difference | None, clicks: int, config: GateConfig, users: int = 0) -> Check:
    """A check that lacks clicks; its figures say how many there were."""
    users = users if found is None else found.users
    return Check(
        name,
        config.when_undecided == "pass",
        f"{UNDECIDED}: {clicks} clicks of {users} users; it takes {config.min_clicks} of {config.min_users}",
        {"clicks": float(clicks), **({} if found is None else found.figures())},
    )
