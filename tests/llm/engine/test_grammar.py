"""Output under a schema."""

from __future__ import annotations

import json

import pytest
import torch

from services.llm.calls import Sampling
from services.llm.engine.grammar import Grammars
from services.runtime.errors import InvalidArgument
from tests.llm.engine.tiny import tiny, tiny_engine

SCHEMA = {
    "type": "object",
    "properties": {
        "genre": {"enum": ["comedy", "drama"]},
        "year": {"type": "integer", "minimum": 1900, "maximum": 2030},
    },
    "required": ["genre", "year"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("speculation", ["off", "on"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_finished_answer_satisfies_the_schema(speculation: str, temperature: float) -> None:
    engine = tiny_engine(speculation=speculation)
    for seed in range(6):
        sampling = Sampling(max_tokens=80, temperature=temperature, seed=seed, json_schema=SCHEMA)
        [answer] = engine.generate([f"prompt {seed}"], sampling)
        found = json.loads(answer.text)
        assert found["genre"] in ("comedy", "drama")
        assert 1900 <= found["year"] <= 2030
        assert answer.finish_reason == "stop"


def test_drafts_change_nothing_under_a_schema_and_save_steps() -> None:
    sampling = Sampling(max_tokens=80, temperature=0.8, seed=4, json_schema=SCHEMA)
    plain, drafting = tiny_engine(), tiny_engine(speculation="on")
    assert plain.generate(["x"], sampling)[0].text == drafting.generate(["x"], sampling)[0].text
    assert drafting.stats().accepted_tokens > 10


def test_an_empty_schema_asks_for_an_object() -> None:
    matcher = Grammars(tiny().tokenizer).matcher({})
    allowed = matcher.mask(torch.zeros(258)).isfinite().nonzero().flatten().tolist()
    assert allowed == tiny().tokenizer.encode("{")


def test_a_wrong_schema_is_refused() -> None:
    with pytest.raises(InvalidArgument) as caught:
        Grammars(tiny().tokenizer).matcher({"type": "number", "minimum": "many"})
    assert caught.value.field == "json_schema"


def test_a_draft_is_cut_where_the_grammar_forbids_it() -> None:
    grammar = Grammars(tiny().tokenizer).matcher(SCHEMA)
    encode = tiny().tokenizer.encode
    assert grammar.valid(encode('{"genre":"horror"')) == encode('{"genre":"')
    assert grammar.forced(4) == encode('{"ge')
