"""What tokens cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.llm.admission.prices import PICODOLLARS, Price, Prices, dollars, picodollars
from services.llm.calls import Usage

PRICES = Prices(
    {
        "cloud": Price(prompt=0.15, cached_prompt=0.075, completion=0.6),
        "other": Price(prompt=0.2, completion=0.3),
        "own": Price(),
        "odd": Price(prompt=0.1, cached_prompt=0.19, completion=0.1),
    },
    cache_hit_share=0.1,
)
tokens = st.integers(0, 100_000)


def test_a_million_tokens_cost_their_price() -> None:
    assert PRICES.cost("cloud", Usage(prompt_tokens=10**6)) == picodollars(0.15)
    assert PRICES.cost("cloud", Usage(completion_tokens=10**6)) == picodollars(0.6)
    assert PRICES.cost("cloud", Usage(prompt_tokens=10**6, cached_tokens=10**6)) == picodollars(0.075)
    assert PRICES.cost("other", Usage(prompt_tokens=10**6, cached_tokens=10**6)) == picodollars(0.2)
    assert PRICES.cost("own", Usage(10**6, 10**6)) == 0


def test_a_mixed_call_is_the_sum_of_its_parts() -> None:
    # 60 fresh x 0.15 + 40 cached x 0.075 + 10 x 0.6 dollars for a million tokens.
    assert PRICES.cost("cloud", Usage(100, 10, 40)) == round((60 * 0.15 + 40 * 0.075 + 10 * 0.6) * PICODOLLARS / 10**6)


def test_a_model_without_a_price_costs_what_the_dearest_would() -> None:
    assert PRICES.cost("new", Usage(10**6, 10**6, 0)) == picodollars(0.2 + 0.6)
    assert Prices({}).cost("new", Usage(10**6, 10**6)) == 0


def test_a_cache_hit_costs_its_share_and_nothing_unless_told() -> None:
    usage = Usage(10**6, 10**6)
    assert PRICES.cache_hit_cost("cloud", usage) == picodollars(0.075)
    assert Prices({"cloud": Price(prompt=1)}).cache_hit_cost("cloud", usage) == 0


def test_dollars_are_read_back() -> None:
    assert dollars(picodollars(12.345678)) == 12.345678


@given(
    models=st.sets(st.sampled_from(["cloud", "other", "own", "odd", "new"]), min_size=1),
    prompt=tokens,
    written=tokens,
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_no_model_of_the_chain_costs_more_than_the_worst_case(
    models: set[str], prompt: int, written: int, shares: tuple[float, float, float]
) -> None:
    read = int(prompt * shares[0])
    usage = Usage(read, int(written * shares[1]), int(read * shares[2]))
    assert all(PRICES.cost(model, usage) <= PRICES.worst_case(models, prompt, written) for model in models)
