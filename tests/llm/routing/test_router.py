"""A call's way through backends and fallbacks."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from services.llm.calls import Completion
from services.llm.routing.affinity import AffinityConfig
from services.llm.routing.breaker import BreakerConfig
from services.llm.routing.policy import RetryPolicy
from services.llm.routing.route import ModelRoute, Target
from services.llm.routing.router import open_router
from services.runtime.errors import (
    CascadeError,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    SettingsError,
    TooLarge,
    TooMany,
    Unavailable,
)
from tests.contracts.llm_backend import eventually
from tests.llm.routing.scripted import HANG, QUICK, WORDS, Breaks, Noted, Scripted, call, route, routing, scripted

AWAY = Unavailable("It is away.")
PASSING = [AWAY, DeadlineExceeded("Late."), TooMany("Full.")]
LASTING = [InvalidArgument("Wrong.", field="top_p"), TooLarge("Long."), NotFound("None.")]


def words(name: str) -> str:
    return "".join(f"{name}-{place} " for place in range(WORDS))


@pytest.mark.parametrize("error", PASSING)
async def test_a_failed_try_goes_to_another_backend(error: CascadeError) -> None:
    backends, noted = scripted(red=[error] * 99, blue=[]), Noted()
    async with routing({"m": route("red", "blue")}, backends, noted, BreakerConfig(failures=99)) as router:
        for _ in range(20):
            routed = await router.complete(call(), 5)
            assert (routed.value.text, routed.model, routed.backend) == (words("blue"), "m", "blue")
            assert routed.tries <= 2
    assert 1 <= backends["red"].calls <= 20
    assert sum(told == ("retried", "m", "blue") for told in noted.told) == backends["red"].calls


async def test_a_single_backend_is_tried_again_after_a_pause() -> None:
    backends = scripted(red=[AWAY, AWAY])
    async with routing({"m": route("red")}, backends) as router:
        assert (await router.complete(call(), 5)).tries == 3


async def test_tries_have_an_end() -> None:
    backends = scripted(red=[AWAY] * 9)
    async with routing({"m": route("red")}, backends) as router:
        with pytest.raises(Unavailable, match="away"):
            await router.complete(call(), 5)
    assert backends["red"].calls == QUICK.attempts


@pytest.mark.parametrize("error", LASTING)
async def test_what_no_backend_can_mend_is_raised_at_once_and_is_no_failure(error: CascadeError) -> None:
    backends = scripted(red=[error] * 9, template=[])
    models = {"m": route("red", fallbacks=("t",)), "t": route("template")}
    async with routing(models, backends, breaker=BreakerConfig(failures=1)) as router:
        for _ in range(3):
            with pytest.raises(type(error)):
                await router.complete(call(), 5)
        assert (router.states()["red"].breaker, router.states()["red"].failures) == ("closed", 0)
    assert (backends["red"].calls, backends["template"].calls) == (3, 0)


async def test_a_model_that_cannot_answer_falls_back_in_order() -> None:
    backends, noted = scripted(red=[AWAY] * 9, small=[InvalidArgument("Not me.")], template=[]), Noted()
    models = {"m": route("red", fallbacks=("s", "t")), "s": route("small"), "t": route("template")}
    async with routing(models, backends, noted) as router:
        routed = await router.complete(call(), 5)
        async with aclosing(router.stream(call(), 5)) as stream:
            assert "".join([piece.text async for piece in stream]) == words("small")
    assert (routed.model, routed.backend, routed.tries) == ("t", "template", 5)
    assert (stream.model, stream.backend) == ("s", "small")
    assert [told[1:] for told in noted.told if told[0] == "fell_back"][:2] == [("m", "s"), ("m", "t")]


async def test_when_the_chain_fails_the_first_models_error_is_raised() -> None:
    backends = scripted(red=[AWAY] * 9, template=[InvalidArgument("No instance.")])
    models = {"m": route("red", fallbacks=("t",)), "t": route("template")}
    async with routing(models, backends) as router:
        with pytest.raises(Unavailable, match="away"):
            await router.complete(call(), 5)


async def test_vectors_of_another_model_are_never_given() -> None:
    backends = scripted(red=[AWAY] * 9, blue=[])
    models = {"m": route("red", fallbacks=("n",)), "n": route("blue")}
    async with routing(models, backends) as router:
        with pytest.raises(Unavailable):
            await router.embed("m", ["a"], 5)
        routed = await router.embed("n", ["a", "b"], 5)
    assert (routed.model, routed.value[0].shape, routed.value[1]) == ("n", (2, 1), 2)


async def test_a_hanging_model_leaves_time_for_its_fallbacks() -> None:
    backends = scripted(red=[HANG], template=[])
    models = {"m": route("red", fallbacks=("t",)), "t": route("template")}
    async with routing(models, backends) as router, aclosing(router.stream(call(), 0.2)) as stream:
        assert "".join([piece.text async for piece in stream]) == words("template")


async def test_a_try_is_told_the_time_that_is_left() -> None:
    backends = scripted(red=[AWAY], template=[])
    models = {"m": route("red", fallbacks=("t",)), "t": route("template")}
    async with routing(models, backends) as router:
        await router.complete(call(), 10.0)
        with pytest.raises(DeadlineExceeded):
            await router.complete(call(), 0.0)
    first, second = backends["red"].seconds
    assert 0 < second < first <= 9.0


async def test_a_stream_is_tried_again_only_before_its_first_piece() -> None:
    backends = scripted(red=[Breaks(0, AWAY), Breaks(1, AWAY)])
    async with routing({"m": route("red")}, backends) as router:
        stream, got = router.stream(call(), 5), ""
        with pytest.raises(Unavailable):
            async for piece in stream:
                got += piece.text
        assert router.states()["red"].failures == 2
    assert (got, stream.backend, stream.tries) == ("red-0 ", "red", 2)


async def test_closing_a_stream_frees_its_place_and_its_backend_at_once() -> None:
    backends = scripted(red=[])
    async with routing({"m": route("red")}, backends) as router:
        stream = router.stream(call(), 5)
        await anext(stream)
        assert router.states()["red"].in_flight == backends["red"].open == 1
        await stream.aclose()
        assert router.states()["red"].in_flight == backends["red"].open == 0
        await stream.aclose()


async def test_a_stream_that_is_dropped_half_read_frees_its_place() -> None:
    backends = scripted(red=[])
    async with routing({"m": route("red")}, backends) as router:
        stream = router.stream(call(), 5)
        await anext(stream)
        del stream
        await eventually(lambda: router.states()["red"].in_flight == 0)


async def test_a_cancelled_call_is_no_failure() -> None:
    backends = scripted(red=[HANG, HANG])
    async with routing({"m": route("red")}, backends, breaker=BreakerConfig(failures=1)) as router:
        tasks = [asyncio.create_task(router.complete(call(), 5)), asyncio.create_task(anext(router.stream(call(), 5)))]
        await eventually(lambda: backends["red"].open == 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        state = router.states()["red"]
        assert (state.breaker, state.failures, state.in_flight) == ("closed", 0, 0)


async def test_a_breaker_opens_and_closes_with_a_probe() -> None:
    backends, noted = scripted(red=[AWAY] * 2, blue=[]), Noted()
    breaker = BreakerConfig(failures=2, pause_seconds=0.02)
    async with routing({"m": route("red", "blue")}, backends, noted, breaker) as router:
        while ("broke", "red", "open") not in noted.told:
            await router.complete(call(), 5)
        assert backends["red"].calls == 2
        async with asyncio.timeout(10):
            while router.states()["red"].breaker != "closed":
                assert (await router.complete(call(), 5)).value.finish_reason == "stop"
    assert [told[2] for told in noted.told if told[0] == "broke"] == ["open", "half_open", "closed"]


async def test_a_stream_that_is_a_probe_lets_others_in_from_its_first_piece() -> None:
    once = ModelRoute((Target("openai://red/v1"),), retries=RetryPolicy(attempts=1))
    breaker = BreakerConfig(failures=1, pause_seconds=0.0)
    async with routing({"m": once}, scripted(red=[AWAY]), breaker=breaker) as router:
        with pytest.raises(Unavailable):
            await router.complete(call(), 5)
        async with aclosing(router.stream(call(), 5)) as stream:
            await anext(stream)
            assert (await router.complete(call(), 5)).tries == 1


async def test_while_its_breaker_is_open_a_lone_backend_is_not_asked() -> None:
    backends = scripted(red=[AWAY])
    async with routing({"m": route("red")}, backends, breaker=BreakerConfig(failures=1, pause_seconds=60)) as router:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await router.complete(call(), 5)
    assert backends["red"].calls == 1


async def test_the_wish_to_be_left_alone_is_kept_within_the_deadline() -> None:
    backends = scripted(red=[TooMany("Later.", retry_after=0.05)])
    async with routing({"m": route("red")}, backends) as router:
        before = asyncio.get_running_loop().time()
        assert (await router.complete(call(), 5)).tries == 2
        assert asyncio.get_running_loop().time() - before >= 0.05


async def test_a_rest_beyond_the_deadline_is_told_to_every_caller() -> None:
    backends = scripted(red=[TooMany("Later.", retry_after=30.0)])
    async with routing({"m": route("red")}, backends) as router:
        for _ in range(3):
            with pytest.raises(TooMany) as caught:
                await router.complete(call(), 5)
            assert 20 < (caught.value.retry_after or 0) <= 30
    assert backends["red"].calls == 1


async def test_a_full_backend_gets_no_more_and_a_full_model_is_refused() -> None:
    backends = scripted(red=[HANG] * 2, blue=[HANG] * 2)
    async with routing({"m": route("red", "blue", max_in_flight=2)}, backends) as router:
        tasks = [asyncio.create_task(router.complete(call(), 5)) for _ in range(4)]
        await eventually(lambda: backends["red"].open == backends["blue"].open == 2)
        with pytest.raises(TooMany, match="all the calls it may have"):
            await router.complete(call(), 5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_prompt_goes_where_its_beginning_was_read() -> None:
    backends, noted = scripted(red=[], blue=[]), Noted()
    targets = tuple(Target(f"openai://{name}/v1", label=name) for name in backends)
    models = {"m": ModelRoute(targets, affinity=AffinityConfig(chunk=64, least_match=128))}
    async with routing(models, backends, noted) as router:
        used = [(await router.complete(call(text="x" * 200 + str(n)), 5)).backend for n in range(10)]
    assert len(set(used)) == 1
    assert sum(told[0] == "matched" for told in noted.told) == 9


async def test_each_backend_is_told_its_own_name_of_the_model() -> None:
    backends = scripted(red=[])
    models = {
        "m": ModelRoute((Target("openai://red/v1", model="Qwen"),)),
        "n": ModelRoute((Target("openai://red/v1"),)),
    }
    async with routing(models, backends) as router:
        await router.complete(call("m"), 5)
        await router.complete(call("n"), 5)
        assert router.models() == ("m", "n")
        assert await router.ready() == {"openai://red/v1": True}
        with pytest.raises(NotFound, match="m, n"):
            await router.complete(call("other"), 5)
    assert backends["red"].models == ["Qwen", "n"]
    assert backends["red"].closed


async def test_what_was_opened_before_a_wrong_backend_is_closed() -> None:
    red = Scripted("red")

    def opener(url: str, _opening: object) -> Scripted:
        if "blue" in url:
            raise SettingsError("Wrong.")
        return red

    with pytest.raises(SettingsError):
        async with open_router({"m": route("red", "blue")}, opener=opener):
            pass
    assert red.closed


async def test_a_defect_of_a_backend_is_raised_and_frees_its_place() -> None:
    backends = scripted(red=[ZeroDivisionError()])
    async with routing({"m": route("red")}, backends) as router:
        with pytest.raises(ZeroDivisionError):
            await router.complete(call(), 5)
        answer: Completion = (await router.complete(call(), 5)).value
    assert answer.text == words("red")
