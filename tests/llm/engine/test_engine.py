"""The whole engine against the plain forward, with a tiny model."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.calls import Sampling
from services.llm.engine.engine import Engine
from services.llm.engine.observer import EngineObserver, StepStats
from services.runtime.errors import InvalidArgument, TooLarge, TooMany
from tests.llm.engine.reference import Reference
from tests.llm.engine.tiny import END, tensors, tiny, tiny_engine

GREEDY = Sampling(max_tokens=20, temperature=0)
PROMPTS = [
    "a", "two words", "abcabcabcabc", "1, 2, 3, 4, 5, 6, ", "The quick brown fox jumps over the lazy dog. " * 3,
    "x" * 47, "y" * 48, "z" * 49, "Überraschung", "long " * 25,
]  # fmt: skip


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(tensors(), tiny().weights.shape)


def run(engine: Engine, prompts: list[str], sampling: Sampling = GREEDY) -> list[list[int]]:
    """Tokens generated for each prompt; all are in the engine at once."""
    for place, prompt in enumerate(prompts):
        engine.add_request(str(place), tiny().tokenizer.encode(prompt), sampling, ignore_end=True)
    return finish(engine, len(prompts))


def finish(engine: Engine, count: int) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(count)]
    while engine.has_work:
        for output in engine.step():
            found[int(output.request_id)] += output.tokens
    assert engine.stats().kv_usage == 0
    return found


def same(reference: Reference, prompts: list[str], outputs: list[list[int]]) -> bool:
    pairs = zip(prompts, outputs, strict=True)
    return all(len(out) == 20 and reference.agrees(tiny().tokenizer.encode(prompt), out) for prompt, out in pairs)


def test_one_forward_shows_what_recomputing_every_token_gives(reference: Reference) -> None:
    prompt = tiny().tokenizer.encode("two words")
    assert reference.agrees(prompt, reference.greedy(prompt, 12))
    assert not reference.agrees(prompt, [*reference.greedy(prompt, 11), 0])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_num_seqs": 1},
        {"max_num_batched_tokens": 17},
        {"block_size": 4, "kv_blocks": 256},
        {"speculation": "on"},
        {"speculation": "adaptive"},
        {"prefix_caching": False},
    ],
    ids=["plain", "one by one", "chunked", "small blocks", "speculation", "adaptive", "no prefix cache"],
)
def test_greedy_output_is_that_of_the_plain_forward(reference: Reference, options: dict[str, object]) -> None:
    assert same(reference, PROMPTS, run(tiny_engine(**options), PROMPTS))


@pytest.mark.parametrize("speculation", ["off", "on"])
def test_greedy_output_survives_preemption(reference: Reference, speculation: str) -> None:
    engine = tiny_engine(kv_blocks=17, speculation=speculation)
    assert same(reference, PROMPTS, run(engine, PROMPTS))
    assert engine.stats().preemptions > 0


def test_greedy_output_survives_prefix_hits(reference: Reference) -> None:
    engine = tiny_engine()
    shared = "A beginning that several requests have in common. " * 2
    prompts = [shared + end for end in ("", "one", "two", shared)]
    run(engine, prompts[:1])
    assert same(reference, prompts, run(engine, prompts))
    assert engine.stats().prefix_hits >= 3 * (len(shared) // 16 - 1) * 16


def test_drafts_are_accepted_and_change_nothing_drawn_at_random() -> None:
    sampling = Sampling(max_tokens=40, temperature=0.3, seed=5)
    plain, drafting = tiny_engine(), tiny_engine(speculation="on")
    assert run(plain, PROMPTS, sampling) == run(drafting, PROMPTS, sampling)
    assert drafting.stats().accepted_tokens > 0
    assert plain.stats().drafted_tokens == 0


def test_a_seed_gives_the_same_tokens_alone_in_a_crowd_and_after_preemption() -> None:
    sampling = Sampling(max_tokens=20, temperature=1.0, top_p=0.9, seed=11)
    alone = [run(tiny_engine(), [prompt], sampling)[0] for prompt in PROMPTS]
    assert run(tiny_engine(), PROMPTS, sampling) == alone
    assert run(tiny_engine(kv_blocks=17), PROMPTS, sampling) == alone
    assert run(tiny_engine(), PROMPTS[:1], Sampling(max_tokens=20, seed=12)) != alone[:1]


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=8)
def test_whatever_comes_and_goes_no_block_is_lost_and_every_answer_is_right(seed: int) -> None:
    draw, reference = random.Random(seed), Reference(tensors(), tiny().weights.shape)
    engine = tiny_engine(
        kv_blocks=18, max_num_seqs=draw.choice([2, 5]), max_num_batched_tokens=draw.choice([8, 40]),
        speculation=draw.choice(["off", "on"]), max_waiting=50,
    )  # fmt: skip
    prompts: dict[str, list[int]] = {}
    found: dict[str, list[int]] = {}
    aborted: set[str] = set()
    for number in range(10):
        prompt = [draw.choice([3, 3, 70, 80]) for _ in range(draw.randint(1, 90))]
        prompts[str(number)] = prompt
        engine.add_request(
            str(number), prompt, Sampling(max_tokens=12, temperature=0), priority=draw.randint(0, 1), ignore_end=True
        )
        for _ in range(draw.randint(0, 3)):
            for output in engine.step():
                found.setdefault(output.request_id, []).extend(output.tokens)
        if draw.random() < 0.2:
            aborted.add(str(number))
            engine.abort(str(number))
    while engine.has_work:
        for output in engine.step():
            found.setdefault(output.request_id, []).extend(output.tokens)
    assert engine.blocks.num_used == 0
    for name in prompts.keys() - aborted:
        assert len(found[name]) == 12
        assert reference.agrees(prompts[name], found[name])


def test_bfloat16_agrees_with_float32_at_nearly_every_place(reference: Reference) -> None:
    prompt = tiny().tokenizer.encode(PROMPTS[4])
    [output] = run(tiny_engine(precision="bfloat16"), PROMPTS[4:5])
    logits = reference.logits([*prompt, *output])[len(prompt) - 1 : -1]
    ranks = [int((row > row[token]).sum()) for row, token in zip(logits, output, strict=True)]
    assert sum(rank == 0 for rank in ranks) >= 16
    assert max(ranks) <= 2


def test_an_aborted_request_frees_its_blocks_at_once() -> None:
    engine = tiny_engine()
    engine.add_request("a", tiny().tokenizer.encode("x" * 100), GREEDY)
    engine.step()
    assert engine.blocks.num_used == 7
    engine.abort("a")
    engine.abort("a")
    assert (engine.blocks.num_used, engine.has_work) == (0, False)


def test_a_stop_string_ends_the_text_before_it() -> None:
    [whole] = tiny_engine().generate(["two words"], GREEDY, ignore_end=True)
    stop = whole.text[6:9]
    [cut] = tiny_engine().generate(["two words"], Sampling(max_tokens=20, temperature=0, stop=(stop,)), ignore_end=True)
    assert (cut.text, cut.finish_reason) == (whole.text.partition(stop)[0], "stop")
    assert cut.usage.completion_tokens < 20


def test_an_end_token_ends_the_answer_and_is_no_text() -> None:
    engine = tiny_engine()
    answers = [
        engine.generate(["one"], Sampling(max_tokens=200, temperature=50.0, seed=seed, logprobs=0))[0]
        for seed in range(6)
    ]
    ended = [answer for answer in answers if answer.finish_reason == "stop"]
    assert 0 < len(ended) < 6
    for answer in answers:
        assert (answer.logprobs[-1].token == END) == (answer in ended)
        assert len(answer.logprobs) == answer.usage.completion_tokens
        assert END not in answer.text


def test_log_probabilities_are_those_of_the_plain_forward(reference: Reference) -> None:
    prompt = tiny().tokenizer.encode("two words")
    [answer] = tiny_engine().generate(["two words"], Sampling(max_tokens=3, temperature=0, logprobs=2), ignore_end=True)
    expected = reference.logits(prompt)[-1].log_softmax(-1)
    assert answer.logprobs[0].logprob == pytest.approx(float(expected.max()), abs=1e-4)
    assert [round(pair[1], 3) for pair in answer.logprobs[0].top] == [round(v, 3) for v in expected.topk(2)[0].tolist()]
    assert len(answer.logprobs) == 3


def test_an_answer_ends_by_length_where_the_context_does() -> None:
    engine = tiny_engine()
    room = engine.config.max_model_len - len(engine.tokenizer.encode("two words"))
    [answer] = engine.generate(["two words"], Sampling(max_tokens=10_000, temperature=0), ignore_end=True)
    assert (answer.finish_reason, answer.usage.completion_tokens) == ("length", room)


def test_what_can_never_be_answered_is_refused_by_name() -> None:
    engine = tiny_engine(max_waiting=1)
    for prompt, sampling, error, field in (
        ([], GREEDY, InvalidArgument, "prompt"),
        ([999], GREEDY, InvalidArgument, "prompt"),
        ([1] * 256, GREEDY, TooLarge, "prompt"),
        ([1], Sampling(max_tokens=0), InvalidArgument, "max_tokens"),
        ([1], Sampling(logprobs=21), TooLarge, "logprobs"),
        ([1], Sampling(json_schema={"type": 3}), InvalidArgument, "json_schema"),
    ):
        with pytest.raises(error) as caught:
            engine.add_request("a", prompt, sampling)
        assert caught.value.field == field
    assert not engine.has_work
    engine.add_request("a", [1], GREEDY)
    with pytest.raises(InvalidArgument):
        engine.add_request("a", [1], GREEDY)
    with pytest.raises(TooMany):
        engine.add_request("b", [1], GREEDY)


class Steps(EngineObserver):
    def __init__(self) -> None:
        self.steps: list[StepStats] = []
        self.firsts = 0

    def on_step(self, stats: StepStats) -> None:
        self.steps.append(stats)

    def on_first_token(self, seconds: float) -> None:
        self.firsts += 1


def test_statistics_of_steps_add_up() -> None:
    observer = Steps()
    engine = Engine(tiny().weights, tiny().tokenizer, tiny_engine().config, observer=observer)
    run(engine, PROMPTS)
    assert sum(step.generated for step in observer.steps) == 20 * len(PROMPTS) == engine.stats().generation_tokens
    assert observer.firsts == len(PROMPTS)
    assert observer.steps[0].kind == "prefill"
    assert observer.steps[-1].kind == "decode"
    assert all(0 <= step.slots_filled <= step.blocks_used * 16 for step in observer.steps)
