"""Every metric of the stack, declared in one place and under one naming scheme: cascade_<what>_<unit>; vllm: is
vLLM's own.

A counter ends in _total, a moment in _timestamp_seconds, what says something by its labels in _info. Every label takes
few values: ids of users, items and requests are never labels.
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, values

M = TypeVar("M", Counter, Gauge, Histogram)

_SECONDS = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0
)  # fmt: skip

_LONG_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0)

# Feast asks, through the environment that children inherit, for values in files that several processes share. Here
# every process has its own.
values.ValueClass = values.MutexValue
# When a series began is a second series for each that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped

# The path of a request.
RPC_SECONDS = Histogram(
    "cascade_rpc_seconds", "Time an rpc took in its server.", ("service", "method", "code"), buckets=_SECONDS
)
HTTP_SECONDS = Histogram(
    "cascade_http_seconds", "Time a REST request took.", ("route", "method", "status"), buckets=_SECONDS
)
STAGE_SECONDS = Histogram(
    "cascade_stage_seconds", "Time a stage of the funnel took, seen from the gateway.", ("stage",), buckets=_SECONDS
)
FALLBACKS = Counter("cascade_fallbacks_total", "Times a stage was skipped or replaced.", ("stage", "reason"))
SOURCE_SECONDS = Histogram("cascade_source_seconds", "Time a source of candidates took.", ("source",), buckets=_SECONDS)
SOURCE_FAILURES = Counter(
    "cascade_source_failures_total", "Times a source of candidates failed or came too late.", ("source",)
)
CANDIDATES = Histogram(
    "cascade_source_candidates",
    "Candidates a source proposed for a request.",
    ("source",),
    buckets=(0, 1, 10, 25, 50, 100, 200, 300, 500, 1000),
)

EXPLANATIONS = Counter("cascade_explanations_total", "Sentences about recommended items by who phrased them.", ("by",))

# What the services know, and how old it is.
ITEMS = Gauge("cascade_catalog_items", "Items in a service's table.", ("service",))
CATALOG_CHANGED = Gauge(
    "cascade_catalog_changed_timestamp_seconds", "When the table of items kept beside this service last changed."
)
MODEL_INFO = Gauge("cascade_model_info", "1 for each loaded model version.", ("service", "model", "version"))
MODEL_TRAINED = Gauge(
    "cascade_model_trained_timestamp_seconds",
    "When a loaded model version was trained.",
    ("service", "model", "version"),
)

# The learning loop.
EVENTS = Counter("cascade_events_total", "Events and impressions by what became of them.", ("outcome",))
EVENT_LAG_SECONDS = Histogram(
    "cascade_event_lag_seconds",
    "From acceptance by the gateway to the written feature.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 60),
)
NEWEST_EVENT = Gauge(
    "cascade_newest_event_timestamp_seconds", "When the newest event that is folded into features was accepted."
)
CONSUMER_LAG = Gauge("cascade_consumer_lag_records", "Records in the log that are not folded yet.", ("topic",))
LAKE_ROWS = Counter("cascade_lake_rows_total", "Rows written to the lake.")
LAKE_FLUSH_SECONDS = Histogram(
    "cascade_lake_flush_seconds", "Time it took to write what was gathered to the lake.", buckets=_SECONDS
)
TRAINING_RUNS = Counter("cascade_training_runs_total", "Runs of the trainer by how they ended.", ("outcome",))
TRAINING_SECONDS = Histogram(
    "cascade_training_seconds", "Time a run of the trainer took.", buckets=(30, 60, 120, 240, 480, 960, 1920, 3840)
)
SPOOL_RECORDS = Gauge("cascade_spool_records", "Records on the gateway's disk that wait for the event log.")
SPOOLED = Counter("cascade_spooled_total", "Records that were put on the gateway's disk because the log was away.")

# A rollout: arms are champion, challenger, and shadow for challengers whose answers nobody sees.
ARM_ANSWERS = Counter(
    "cascade_arm_answers_total",
    "Requests by arm while models are rolled out: ok, failed, or missing where the model was not loaded.",
    ("arm", "outcome"),
)
ARM_SECONDS = Histogram(
    "cascade_arm_seconds", "Time the models of an arm took, seen from the gateway.", ("arm", "stage"), buckets=_SECONDS
)
SHADOW_OVERLAP = Histogram(
    "cascade_shadow_overlap_ratio",
    "Share of the champion's ten best that are among the ten best of a challenger nobody sees.",
    buckets=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
SHADOW_DROPPED = Counter(
    "cascade_shadow_dropped_total", "Requests whose challengers were not asked unseen because too many were under way."
)
ROLLOUT_SHARE = Gauge("cascade_rollout_share_ratio", "Share of users who get the challengers that are rolled out.")
ROLLOUTS = Counter("cascade_rollouts_total", "Rollouts by how they ended: champion or rolled_back.", ("outcome",))

# Language models. What vLLM measures too bears its name and its label, so that one dashboard reads both.
VLLM_RUNNING = Gauge("vllm:num_requests_running", "Calls under way.", ("model_name",))
VLLM_WAITING = Gauge("vllm:num_requests_waiting", "Calls that wait in the engine.", ("model_name",))
VLLM_KV_USAGE = Gauge("vllm:kv_cache_usage_perc", "Share of the KV blocks in use, 1 is all.", ("model_name",))
VLLM_PREFIX_QUERIES = Counter(
    "vllm:prefix_cache_queries", "Prompt tokens looked up in the prefix cache.", ("model_name",)
)
VLLM_PREFIX_HITS = Counter("vllm:prefix_cache_hits", "Prompt tokens found in the prefix cache.", ("model_name",))
VLLM_PREEMPTIONS = Counter("vllm:num_preemptions", "Sequences that gave their blocks to others.", ("model_name",))
VLLM_DRAFTED = Counter("vllm:spec_decode_num_draft_tokens", "Tokens that were drafted.", ("model_name",))
VLLM_ACCEPTED = Counter("vllm:spec_decode_num_accepted_tokens", "Drafted tokens that were right.", ("model_name",))
VLLM_PROMPT_TOKENS = Counter("vllm:prompt_tokens", "Tokens read.", ("model_name",))
VLLM_GENERATION_TOKENS = Counter("vllm:generation_tokens", "Tokens written.", ("model_name",))
VLLM_SUCCESS = Counter("vllm:request_success", "Answers by why they ended.", ("model_name", "finished_reason"))
VLLM_FIRST_TOKEN_SECONDS = Histogram(
    "vllm:time_to_first_token_seconds",
    "From a streamed call to its first token.",
    ("model_name",),
    buckets=_LONG_SECONDS,
)
VLLM_INTER_TOKEN_SECONDS = Histogram(
    "vllm:inter_token_latency_seconds", "Between two pieces of a stream.", ("model_name",), buckets=_SECONDS
)
VLLM_SECONDS = Histogram(
    "vllm:e2e_request_latency_seconds", "From a call to the end of its answer.", ("model_name",), buckets=_LONG_SECONDS
)
LLM_TRIES = Counter("cascade_llm_tries_total", "Tries at a backend by how they ended.", ("model", "backend", "outcome"))
LLM_FALLBACKS = Counter("cascade_llm_fallbacks_total", "Times another model was asked instead.", ("model", "to"))
LLM_BREAKER_OPEN = Gauge("cascade_llm_breaker_open_info", "1 while a backend is left alone.", ("backend",))
LLM_AFFINITY = Counter(
    "cascade_llm_affinity_total", "Calls that went where their beginning had been read before.", ("model",)
)
LLM_CACHE = Counter("cascade_llm_cache_total", "Questions to the caches of answers.", ("cache", "outcome"))
LLM_COST_USD = Counter("cascade_llm_cost_usd_total", "What answers cost, in dollars.", ("key", "model"))
LLM_GUARDED = Counter(
    "cascade_llm_guarded_total", "Texts that a guardrail changed or refused.", ("direction", "rule", "action")
)

# What people see, and what they do then.
IMPRESSIONS = Counter("cascade_impressions_total", "Items shown, as logged.", ("slot", "arm", "position"))
REACTIONS = Counter(
    "cascade_reactions_total",
    "Events on recommended items, under the slot, arm and position of the impression that caused them.",
    ("type", "slot", "arm", "position"),
)
COVERAGE = Gauge(
    "cascade_catalog_coverage_ratio", "Share of the catalog that was shown in the last ten minutes by this process."
)
DIVERSITY = Histogram(
    "cascade_slate_diversity_ratio",
    "Mean pairwise distance of the genres in a slate, 1 when no two items share one.",
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
NOVELTY = Histogram(
    "cascade_slate_novelty_bits",
    "Mean surprise of a slate's items, the negative logarithm of their share of all events.",
    buckets=(4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 24),
)


@lru_cache(maxsize=4096)
def series(metric: M, *labels: str) -> M:
    """metric.labels(*labels), remembered: looking it up each time costs more than counting."""
    child: M = metric.labels(*labels)
    return child


def model_loaded(service: str, model: str, version: str, created_at: str) -> None:
    """Tells of a version that serves; `created_at` is the RFC 3339 moment of its manifest, empty when that has none."""
    MODEL_INFO.labels(service, model, version).set(1)
    if created_at:
        MODEL_TRAINED.labels(service, model, version).set(datetime.fromisoformat(created_at).timestamp())


def model_retired(service: str, model: str, version: str) -> None:
    """Takes a version out, so that the series of old versions do not pile up."""
    # Feast's wish again: with it, the library warns that others may still have the series.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    for gauge in (MODEL_INFO, MODEL_TRAINED):
        gauge.remove(service, model, version)
