"""openai:// against a server that speaks the API and misbehaves when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import orjson
import pytest
import pytest_asyncio

from services.llm.backends.backend import Backend
from services.llm.backends.opening import Opening, open_backend
from services.llm.calls import Usage
from services.runtime.errors import (
    CascadeError,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
)
from tests.contracts.llm_backend import SECONDS, LlmBackendContract, eventually, pieces_of
from tests.llm.upstream import Behaviour, Upstream

KEY = "sk-a-secret-of-ours"


class TestOpenAI(LlmBackendContract):
    embeds = True

    @pytest_asyncio.fixture
    async def upstream(self) -> AsyncIterator[Upstream]:
        async with Upstream("red") as upstream:
            yield upstream

    @pytest_asyncio.fixture
    async def backend(self, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Backend]:
        monkeypatch.setenv("UPSTREAM_KEY", KEY)
        backend = open_backend(upstream.url, Opening(key_env="UPSTREAM_KEY", max_connections=4))
        yield backend
        await backend.close()

    @pytest.fixture
    def held(self, upstream: Upstream) -> Callable[[], int]:
        return lambda: upstream.counts.open

    async def test_everything_the_caller_chose_is_told_to_the_upstream(
        self, backend: Backend, upstream: Upstream
    ) -> None:
        request = self.chat(seed=7, stop=("END",), logprobs=2, top_p=0.5, json_schema={"type": "object"})
        await pieces_of(backend.stream(request, SECONDS))
        assert upstream.counts.bodies[-1] == {
            "model": "model",
            "messages": [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Name a film."}],
            "max_tokens": 12, "temperature": 0.0, "top_p": 0.5, "seed": 7, "stop": ["END"],
            "logprobs": True, "top_logprobs": 2, "stream": True, "stream_options": {"include_usage": True},
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
            },
        }  # fmt: skip
        assert upstream.counts.headers["Authorization"] == f"Bearer {KEY}"
        await backend.complete(self.chat(json_schema={}), SECONDS)
        assert upstream.counts.bodies[-1]["response_format"] == {"type": "json_object"}

    @pytest.mark.parametrize("chat", [True, False])
    async def test_logprobs_come_whole_and_streamed_alike(self, backend: Backend, chat: bool) -> None:
        request = self.chat(logprobs=1, max_tokens=3)
        if not chat:
            request = type(request)("model", prompt="Once", sampling=request.sampling)
        whole = await backend.complete(request, SECONDS)
        streamed = [
            logprob for piece in await pieces_of(backend.stream(request, SECONDS)) for logprob in piece.logprobs
        ]
        assert list(whole.logprobs) == streamed
        assert [(logprob.token, logprob.logprob) for logprob in streamed] == [(f"red-{n} ", -0.5) for n in range(3)]
        assert ("other", -1.5) in streamed[0].top

    async def test_cached_tokens_are_told(self, backend: Backend) -> None:
        assert (await backend.complete(self.prompt("a b c"), SECONDS)).usage == Usage(3, 6, 1)

    async def test_usage_is_estimated_where_the_upstream_tells_none(self, backend: Backend, upstream: Upstream) -> None:
        upstream.behaviour = Behaviour(tells_usage=False)
        last = (await pieces_of(backend.stream(self.prompt("x" * 40, 5), SECONDS)))[-1]
        assert last.usage is not None
        assert last.usage.prompt_tokens == 11
        assert last.usage.completion_tokens == 5

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(400, InvalidArgument), (422, InvalidArgument), (404, NotFound), (413, TooLarge), (429, TooMany),
         (401, Unavailable), (403, Unavailable), (500, Unavailable), (503, Unavailable), (302, Unavailable),
         (504, DeadlineExceeded)],
    )  # fmt: skip
    async def test_a_refusal_becomes_an_error_of_the_tree(
        self, backend: Backend, upstream: Upstream, status: int, kind: type[CascadeError]
    ) -> None:
        upstream.behaviour = Behaviour(status=status)
        for call in (backend.complete(self.chat(), SECONDS), pieces_of(backend.stream(self.chat(), SECONDS))):
            with pytest.raises(kind) as caught:
                await call
            assert KEY not in repr(caught.value)
            if kind is InvalidArgument:
                assert caught.value.field == "max_tokens"
                assert "refused with" in caught.value.sentence

    async def test_a_throttled_call_tells_when_to_come_back(self, backend: Backend, upstream: Upstream) -> None:
        upstream.behaviour = Behaviour(status=429, retry_after="7")
        with pytest.raises(TooMany) as caught:
            await backend.complete(self.chat(), SECONDS)
        assert caught.value.retry_after == 7.0

    async def test_an_upstream_that_hangs_misses_the_deadline_and_is_let_go(
        self, backend: Backend, upstream: Upstream
    ) -> None:
        upstream.behaviour = Behaviour(hang=True)
        for call in (
            backend.complete(self.chat(), 0.05),
            pieces_of(backend.stream(self.chat(), 0.05)),
            backend.embed("model", ["a"], 0.05),
        ):
            with pytest.raises(DeadlineExceeded):
                await call
        await eventually(lambda: upstream.counts.open == 0)
        assert upstream.counts.disconnects == 3
        assert not await backend.ready()

    async def test_the_deadline_of_a_stream_is_the_longest_silence(self, backend: Backend, upstream: Upstream) -> None:
        upstream.behaviour = Behaviour(words=8, seconds_a_word=0.1)
        assert len(await pieces_of(backend.stream(self.chat(), 0.4))) >= 3
        upstream.behaviour = Behaviour(hang_after=2)
        stream, got = backend.stream(self.chat(), 0.1), ""
        with pytest.raises(DeadlineExceeded):
            async for piece in stream:
                got += piece.text
        assert got == "red-0 red-1 "
        await eventually(lambda: upstream.counts.open == 0)

    @pytest.mark.parametrize("behaviour", [Behaviour(die_after=2), Behaviour(error_after=2)])
    async def test_a_stream_that_breaks_ends_with_an_error_after_its_pieces(
        self, backend: Backend, upstream: Upstream, behaviour: Behaviour
    ) -> None:
        upstream.behaviour, got = behaviour, ""
        with pytest.raises(Unavailable):
            async for piece in backend.stream(self.chat(), SECONDS):
                got += piece.text
        assert "red-0 red-1 ".startswith(got)

    async def test_an_error_within_a_stream_has_the_meaning_of_its_code(
        self, backend: Backend, upstream: Upstream
    ) -> None:
        for problem in (b'{"error":{"message":"too long","code":400}}', b'{"object":"error","message":"x","code":400}'):
            upstream.behaviour = Behaviour(raw=(b"data: " + problem + b"\n\n",))
            with pytest.raises(InvalidArgument):
                await pieces_of(backend.stream(self.chat(), SECONDS))

    @pytest.mark.parametrize(
        "raw",
        [b"<html>", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{}]}', b'{"choices":[{"message":"x","delta":5}]}'],
    )
    async def test_another_api_is_unavailable(self, backend: Backend, upstream: Upstream, raw: bytes) -> None:
        upstream.behaviour = Behaviour(raw=(raw,))
        with pytest.raises(Unavailable):
            await backend.complete(self.chat(), SECONDS)
        upstream.behaviour = Behaviour(raw=(b"data: " + raw + b"\n\n",))
        with pytest.raises(Unavailable):
            await pieces_of(backend.stream(self.chat(), SECONDS))

    async def test_events_that_arrive_cut_anywhere_are_put_together(self, backend: Backend, upstream: Upstream) -> None:
        deltas = [{"choices": [{"delta": {"content": word}}]} for word in ("né ", "à ", "東京 ", "🎬")]
        ends: list[object] = [{"choices": [{"delta": {}, "finish_reason": "length"}]}]
        events = b"".join(b"data:" + orjson.dumps(event) + b"\r\n\r\n" for event in [*deltas, *ends])
        whole = b": a comment\r\n\r\n" + events + b"data: [DONE]\r\n\r\n"
        upstream.behaviour = Behaviour(raw=tuple(whole[i : i + 7] for i in range(0, len(whole), 7)))
        pieces = await pieces_of(backend.stream(self.chat(), SECONDS))
        assert "".join(piece.text for piece in pieces) == "né à 東京 🎬"
        assert pieces[-1].finish_reason == "length"

    async def test_one_connection_serves_calls_and_streams_one_after_another(
        self, backend: Backend, upstream: Upstream
    ) -> None:
        upstream.behaviour, peers = Behaviour(seconds_to_the_end=0.01), set()
        for _ in range(3):
            await backend.complete(self.chat(), SECONDS)
            await pieces_of(backend.stream(self.chat(), SECONDS))
            peers.add(upstream.counts.caller)
        assert len(peers) == 1

    async def test_no_more_connections_than_allowed_are_open_at_once(
        self, backend: Backend, upstream: Upstream
    ) -> None:
        upstream.behaviour = Behaviour(seconds_a_word=0.005)
        answers = await asyncio.gather(*(backend.complete(self.chat(), SECONDS) for _ in range(12)))
        assert len(answers) == 12
        assert upstream.counts.most_open == 4

    async def test_an_upstream_that_is_away_is_unavailable(self, backend: Backend, upstream: Upstream) -> None:
        upstream.kill()
        with pytest.raises(Unavailable, match="does not answer"):
            await backend.complete(self.chat(), SECONDS)
        with pytest.raises(Unavailable):
            await pieces_of(backend.stream(self.chat(), SECONDS))
        assert not await backend.ready()

    async def test_closing_ends_what_goes_on(self, backend: Backend, upstream: Upstream) -> None:
        upstream.behaviour = Behaviour(hang=True)
        call = asyncio.create_task(backend.complete(self.chat(), SECONDS))
        await eventually(lambda: upstream.counts.open == 1)
        await backend.close()
        with pytest.raises(Unavailable):
            await call

    @pytest.mark.parametrize("raw", [b"x" * 2_000_000, b"data: {}\n" * 300_000])
    async def test_an_event_without_end_is_not_kept(self, backend: Backend, upstream: Upstream, raw: bytes) -> None:
        upstream.behaviour = Behaviour(raw=(raw,))
        with pytest.raises(Unavailable, match="more than"):
            await pieces_of(backend.stream(self.chat(), SECONDS))
