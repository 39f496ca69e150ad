"""What was used."""

from __future__ import annotations

from services.llm.admission.accounting import OTHER, Accounts, Totals
from services.llm.calls import Usage


def test_answers_of_one_model_to_one_key_add_up() -> None:
    accounts = Accounts()
    accounts.add("web", "cloud", Usage(10, 5, 4), 100)
    accounts.add("web", "cloud", Usage(20, 5), 200)
    accounts.add("web", "own", Usage(1, 1), 0)
    accounts.add("jobs", "cloud", Usage(7, 7), 50)
    assert accounts.rows("web") == [
        Totals("web", "cloud", 2, 0, prompt_tokens=30, cached_tokens=4, completion_tokens=10, cost=300),
        Totals("web", "own", 1, 0, prompt_tokens=1, completion_tokens=1),
    ]
    assert [row.key for row in accounts.rows()] == ["web", "jobs", "web"]


def test_a_cache_hit_is_a_request_whose_tokens_are_not_counted_again() -> None:
    accounts = Accounts()
    accounts.add("web", "cloud", Usage(10, 5), 3, cache_hit=True)
    assert accounts.rows() == [Totals("web", "cloud", 1, 1, cost=3)]


def test_what_comes_after_the_bound_is_counted_together() -> None:
    accounts = Accounts(pairs=2)
    for number in range(100):
        accounts.add("web", f"model-{number}", Usage(1, 1), 1)
    assert {(row.key, row.model): row.requests for row in accounts.rows()} == {
        ("web", "model-0"): 1,
        ("web", "model-1"): 1,
        (OTHER, OTHER): 98,
    }
    assert sum(row.cost for row in accounts.rows()) == 100


def test_cost_is_told_in_dollars() -> None:
    assert Totals("web", "cloud", cost=1_500_000_000_000).usd == 1.5
