"""How the peers are configured: our gateway with everything on, LiteLLM with what it can do without a database."""

from __future__ import annotations

import json
from collections.abc import Sequence

from loadtests.llm.rounds import MODEL

KEY = "sk-bench-0123456789abcdef"
"""Of a caller with a budget that lasts."""
POOR_KEY = "sk-bench-poor-0123456789"
"""Of a caller with a small one."""
PROMPT_USD, COMPLETION_USD = 1.0, 2.0
"""For a million tokens."""
POOR_BUDGET_USD = 0.004
"""Four calls' worst case, or fifty answers."""

_OURS = """
[models.{model}]
backends = [{backends}]
fallbacks = ["template"]
price = {{ prompt = {prompt}, completion = {completion} }}
timeout_seconds = 20

[models.template]
backends = ["template://"]

[keys.bench]
tenant = "bench"
secret = {{ env = "BENCH_KEY" }}
requests_per_minute = 100_000_000
tokens_per_minute = 100_000_000_000
budget_usd = 10_000
guardrails = {guardrails}

[keys.poor]
tenant = "poor"
secret = {{ env = "BENCH_POOR_KEY" }}
budget_usd = {poor}
budget_period = "none"

[caches]
exact_megabytes = 1
"""


def ours(upstreams: Sequence[int], *, guardrails: bool) -> str:
    """TOML: a key with limits and a budget, the exact cache on, upstreams on these ports of loopback.

    The cache is small, so that it is full, and gives up an answer for each new one, long before a round ends.
    """
    backends = ", ".join(f'{{ url = "openai://127.0.0.1:{port}/v1", max_in_flight = 256 }}' for port in upstreams)
    return _OURS.format(
        model=MODEL, backends=backends, prompt=PROMPT_USD, completion=COMPLETION_USD,
        guardrails=str(guardrails).lower(), poor=POOR_BUDGET_USD,
    )  # fmt: skip


def litellm(upstream: int) -> str:
    """YAML, of which JSON is a part: one model and a master key. Keys with limits and budgets would need Postgres."""
    told = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "none"}
    return json.dumps(
        {
            "model_list": [{"model_name": MODEL, "litellm_params": told}],
            "general_settings": {"master_key": KEY},
            "litellm_settings": {"telemetry": False, "set_verbose": False},
        }
    )
