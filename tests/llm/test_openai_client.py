"""OpenAI's own client against our door: chat, stream, schema, embeddings, and every error it has a class for."""

from __future__ import annotations

import httpx
import numpy as np
import openai
import orjson
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.shared_params import ResponseFormatJSONSchema
from openai.types.shared_params.response_format_json_schema import JSONSchema

from tests.llm.conftest import KEY, Door, until
from tests.llm.upstream import Behaviour, Upstream

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


async def test_a_chat_is_answered_whole(door: Door, upstream: Upstream) -> None:
    async with door(upstream) as (client, _):
        answer = await client.chat.completions.create(model="small", messages=HELLO, max_tokens=3)
    choice = answer.choices[0]
    assert choice.message.content
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 3
    assert upstream.counts.bodies[-1]["max_tokens"] == 3


async def test_a_stream_says_the_same_as_a_whole_answer(door: Door, upstream: Upstream) -> None:
    async with door(upstream) as (client, _):
        whole = await client.chat.completions.create(model="small", messages=HELLO)
        stream = await client.chat.completions.create(
            model="small", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


async def test_a_prompt_is_continued(door: Door, upstream: Upstream) -> None:
    async with door(upstream) as (client, _):
        answer = await client.completions.create(model="small", prompt="Once upon", max_tokens=4)
        stream = await client.completions.create(model="small", prompt="Once upon", max_tokens=4, stream=True)
        pieces = [chunk.choices[0].text async for chunk in stream]
    assert "".join(pieces) == answer.choices[0].text
    assert answer.object == "text_completion"


async def test_embeddings_have_length_one_in_both_encodings(door: Door, upstream: Upstream) -> None:
    texts = ["a heist", "a robbery", "a wedding"]
    async with door(upstream) as (client, _):
        # Left to itself the client asks for base64 and reads it.
        packed = await client.embeddings.create(model="minilm", input=texts)
        plain = await client.embeddings.create(model="minilm", input=texts, encoding_format="float")
    vectors = np.array([row.embedding for row in plain.data], np.float32)
    np.testing.assert_array_equal(vectors, np.array([row.embedding for row in packed.data], np.float32))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert plain.usage.prompt_tokens > 0


async def test_models_are_those_of_the_configuration(door: Door, upstream: Upstream) -> None:
    async with door(upstream) as (client, _):
        assert [model.id async for model in client.models.list()] == ["small", "template", "minilm"]
        assert (await client.models.retrieve("small")).owned_by == "cascade"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("large")


async def test_without_a_model_the_template_answers_also_under_a_schema(door: Door, upstream: Upstream) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"genre": {"enum": ["Crime", "Drama"]}, "from": {"type": "integer", "minimum": 1919}},
        "required": ["genre", "from"],
    }
    upstream.behaviour = Behaviour(status=503)
    async with door(upstream) as (client, _):
        answer = await client.chat.completions.with_raw_response.create(
            model="small",
            messages=HELLO,
            response_format=ResponseFormatJSONSchema(
                type="json_schema", json_schema=JSONSchema(name="query", schema=schema)
            ),
        )
    assert answer.headers["x-cascade-model"] == "template"
    assert orjson.loads(answer.parse().choices[0].message.content or "") == {"genre": "Crime", "from": 1919}


async def test_every_error_is_one_that_the_client_knows(door: Door, upstream: Upstream) -> None:
    async with door(upstream) as (client, _):
        with pytest.raises(openai.NotFoundError, match="small"):
            await client.chat.completions.create(model="large", messages=HELLO)
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="small", messages=HELLO, temperature=3)
        assert caught.value.param == "temperature"
        with pytest.raises(openai.BadRequestError, match="tools"):
            tool: ChatCompletionToolParam = {"type": "function", "function": {"name": "f"}}
            await client.chat.completions.create(model="small", messages=HELLO, tools=[tool])
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="sk-somebody-else").models.list()


async def test_an_error_after_the_first_piece_ends_the_stream_with_it(door: Door, upstream: Upstream) -> None:
    upstream.behaviour = Behaviour(die_after=2)
    async with door(upstream) as (client, _):
        stream = await client.chat.completions.create(model="small", messages=HELLO, stream=True)
        seen = []
        with pytest.raises(openai.APIError):
            async for chunk in stream:
                seen.append(chunk.choices[0].delta.content)
    assert "".join(text for text in seen if text).startswith("red-0 "), "What a guardrail still held is not shown."
    assert upstream.counts.calls == 1, "It was not begun again."


async def test_what_is_no_call_is_a_sentence(door: Door, upstream: Upstream) -> None:
    async with door(upstream) as (client, _):
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=str(client.base_url), headers=headers) as plain:
            assert (await plain.get("nothing")).status_code == 404
            assert (await plain.get("chat/completions")).status_code == 405
            assert (await plain.post("chat/completions", content=b"x" * 2_000_000)).status_code == 413
            assert (await plain.post("chat/completions", content=b"{")).json()["error"][
                "type"
            ] == "invalid_request_error"
            response = await plain.get("http://nowhere/metrics".replace("http://nowhere", str(client.base_url)[:-4]))
            assert "cascade_http_seconds" in response.text


async def test_a_caller_that_hangs_up_frees_the_upstream(door: Door, upstream: Upstream) -> None:
    upstream.behaviour = Behaviour(hang=True)
    async with door(upstream) as (client, pipeline):
        with pytest.raises(openai.APITimeoutError):
            await client.with_options(timeout=0.2).chat.completions.create(model="small", messages=HELLO)
        await until(lambda: upstream.counts.disconnects == 1 and pipeline.states()[0].backends[0].in_flight == 0)


async def test_the_callers_request_id_comes_back(door: Door, upstream: Upstream) -> None:
    async with door(upstream) as (client, _):
        given = await client.models.with_raw_response.list(extra_headers={"X-Request-Id": "mine-7"})
        made = await client.models.with_raw_response.list()
    assert given.headers["x-request-id"] == "mine-7"
    assert len(made.headers["x-request-id"]) == 32
