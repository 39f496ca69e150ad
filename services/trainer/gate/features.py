"""Whether what was logged while serving is what today's code computes from the lake."""

from __future__ import annotations

from pathlib import Path

from models.spec import FeatureSpec
from services.trainer.examples.examples import Examples
from services.trainer.examples.skew import skew
from services.trainer.gate.config import GateConfig
from services.trainer.gate.verdict import Check


def skew_check(examples: Examples, lake: Path, spec: FeatureSpec, config: GateConfig, seed: int) -> Check:
    """Refused when a column agrees on too few rows: training and serving have come to disagree."""
    report = skew(examples, lake, spec, config.skew_slates, seed)
    if not report.rows:
        return Check("feature_skew", True, "no logged row can be computed anew", {"rows": 0.0})
    name, worst = report.worst()
    figures = {"rows": float(report.rows), "worst_share_equal": worst.equal}
    if below := report.below(config.skew_share):
        return Check("feature_skew", False, " ".join(below[:3]), figures)
    found = f"{name}, the worst of {len(report.columns)} columns, is equal in {worst.equal:.1%} of {report.rows} rows"
    return Check("feature_skew", True, found, figures)
