"""What captured decode graphs are fed; capturing itself needs a GPU."""

from __future__ import annotations

import pytest
import torch

from services.llm.calls import Sampling
from services.llm.engine.batching import forward_batch
from services.llm.engine.cuda_graphs import DecodeGraphs, buckets, padded
from services.llm.engine.model import ForwardBatch
from tests.llm.engine.tiny import tiny, tiny_engine


def test_buckets_double_until_they_hold_the_largest() -> None:
    assert [buckets(1), buckets(5), buckets(8)] == [[1], [1, 2, 4, 8], [1, 2, 4, 8]]


def test_a_padded_decode_step_gives_the_same_logits_and_writes_only_to_the_scratch_block() -> None:
    engine = tiny_engine(kv_blocks=20)
    for name, count in (("a", 5), ("b", 40), ("c", 17)):
        engine.add_request(name, tiny().tokenizer.encode(name * count), Sampling(max_tokens=20, temperature=0))
    engine.step()
    engine.step()
    runner = engine.runner
    batch = forward_batch(engine.scheduler.schedule().sequences, 16, 2, torch.zeros(0))
    full = padded(batch, 8, 4, runner._memory[0], repeat=2)
    with torch.inference_mode():
        expected = runner._model(batch, runner._memory)
        before = [layer.clone() for layer in runner._memory]
        found = runner._model(full, runner._memory)
    torch.testing.assert_close(found[:3], expected, rtol=1e-4, atol=1e-4)
    for held, after in zip(before, runner._memory, strict=True):
        torch.testing.assert_close(after[:20], held[:20])


def test_only_steps_that_decode_one_token_each_have_a_graph() -> None:
    engine = tiny_engine()
    engine.add_request("a", [1, 2, 3], Sampling(max_tokens=9))
    batch: ForwardBatch = forward_batch(engine.scheduler.schedule().sequences, 16, 2, torch.zeros(0))
    assert DecodeGraphs(engine.runner._model, engine.runner._memory, engine.config).find(batch) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_replayed_steps_choose_what_launched_steps_choose() -> None:
    answers = [
        tiny_engine(device="cuda", precision="bfloat16", cuda_graphs=graphs).generate(
            ["abcabc", "one two"], Sampling(max_tokens=12, temperature=0), ignore_end=True
        )
        for graphs in (False, True)
    ]
    assert answers[0] == answers[1]
