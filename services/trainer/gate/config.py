"""What a challenger must reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class GateConfig:
    """Bounds of every check. A tolerance is a loss that may remain; only a loss surely beyond it refuses."""

    require: Literal["not_worse", "better"] = "not_worse"
    """not_worse: refused when surely worse. better: refused unless surely better on NDCG (ranker) or recall."""
    when_undecided: Literal["pass", "refuse"] = "pass"
    """With too few clicks to tell: pass leaves it to the guardrails of the rollout."""
    confidence: float = 0.95
    """Of the two-sided intervals."""
    resamples: int = 2000
    """Of each bootstrap."""
    min_clicks: int = 100
    """Fewer clicked slates (or clicked rows, for the log-loss) decide nothing."""
    min_users: int = 20
    """Users are what a bootstrap draws; fewer decide nothing."""
    ndcg_tolerance: float = 0.005
    """Of NDCG@10 and of recall."""
    log_loss_tolerance: float = 0.002
    """Nats per row."""
    clip: float = 10.0
    """Largest inverse propensity of a click."""
    min_agreement: float = 0.2
    """Least mean rank correlation with the champion for a challenger that clicks could not judge."""
    genres: int = 5
    """Slices by genre: this many, those with the most rows."""
    slice_clicks: int = 50
    """Slices with fewer clicks are left out."""
    slice_tolerance: float = 0.02
    """NDCG@10, or nats, that a slice may lose."""
    max_ece: float = 0.05
    """Expected calibration error that is always good enough."""
    ece_tolerance: float = 0.01
    """Above max_ece, what may be added to the champion's."""
    slowdown: float = 1.5
    """Factor on the champion's median latency, and on its fastest call."""
    floor_ms: float = 2.0
    """A median below this is never too slow."""
    rounds: int = 40
    """Timed calls of each model."""
    latency_rows: int = 500
    """Rows of a timed call: the candidates of a request."""
    skew_share: float = 0.98
    """Least share of logged rows that today's code computes again, for every column."""
    skew_slates: int = 300
    """Slates that the skew is measured on."""
    index_recall: float = 0.95
    """Least recall@100 of the vector index against exact search."""
    recall_at: int = 200
    """Length of the merged list that recall is measured on."""
    moments: int = 600
    """Held-out moments that retrieval is judged on, at most."""
