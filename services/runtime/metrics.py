"""Every metric of the stack, declared in one place and under one naming scheme: cascade_<what>_<unit>."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0
)  # fmt: skip

RPC_SECONDS = Histogram(
    "cascade_rpc_seconds", "Time an rpc took in its server.", ("service", "method", "code"), buckets=_SECONDS
)
HTTP_SECONDS = Histogram(
    "cascade_http_seconds", "Time a REST request took.", ("route", "method", "status"), buckets=_SECONDS
)
STAGE_SECONDS = Histogram(
    "cascade_stage_seconds",
    "Time a stage of the funnel took, seen from the gateway.",
    ("stage",),
    buckets=_SECONDS,
)
FALLBACKS = Counter("cascade_fallbacks_total", "Times a stage was skipped or replaced.", ("stage", "reason"))
CANDIDATES = Histogram(
    "cascade_candidates",
    "Candidates a source proposed for a request.",
    ("source",),
    buckets=(0, 1, 10, 25, 50, 100, 200, 300, 500, 1000),
)
MODEL_INFO = Gauge("cascade_model_info", "1 for each loaded model version.", ("service", "model", "version"))
EVENTS = Counter("cascade_events_total", "Events by what became of them.", ("outcome",))
EVENT_LAG_SECONDS = Histogram(
    "cascade_event_lag_seconds",
    "From acceptance by the gateway to the written feature.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 60),
)
ITEMS = Gauge("cascade_items", "Items in a service's table.", ("service",))
