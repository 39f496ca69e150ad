"""What of OpenAI's requests is honoured, and what is refused by name."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from services.llm.calls import Message
from services.llm.wire.requests import ChatRequest, CompletionRequest, EmbeddingsRequest, parse
from services.runtime.errors import InvalidArgument

CHAT: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "Hello"}]}


def chat(**fields: Any) -> ChatRequest:
    return parse(ChatRequest, orjson.dumps(CHAT | fields))


def test_a_chat_with_nothing_else_said_has_openais_defaults() -> None:
    generation = chat().generation
    assert generation.messages == (Message("user", "Hello"),)
    sampling = generation.sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed, sampling.max_tokens) == (1.0, 1.0, None, None)
    assert (sampling.stop, sampling.logprobs, sampling.json_schema) == ((), None, None)


def test_every_field_that_is_honoured_arrives() -> None:
    schema = {"type": "object"}
    request = chat(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]},
        ],
        temperature=0, top_p=0.5, seed=7, stop="END", max_tokens=5, max_completion_tokens=9, logprobs=True,
        top_logprobs=3, priority=-2, stream=True, stream_options={"include_usage": True},
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    )  # fmt: skip
    generation = request.generation
    assert [message.role for message in generation.messages] == ["system", "user"]
    assert generation.messages[1].content == "Hello"
    sampling = generation.sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed, sampling.max_tokens) == (0.0, 0.5, 7, 9)
    assert (sampling.stop, sampling.logprobs, sampling.json_schema) == (("END",), 3, schema)
    assert (generation.priority, request.stream, request.include_usage) == (-2, True, True)


def test_null_is_the_default_as_clients_send_it() -> None:
    nothing = dict.fromkeys(
        ("temperature", "top_p", "stop", "seed", "stream", "stream_options", "response_format", "n")
    )
    assert chat(**nothing).generation == chat().generation


def test_any_object_is_an_empty_schema() -> None:
    assert chat(response_format={"type": "json_object"}).generation.sampling.json_schema == {}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"n": 2}, "n"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"model": ""}, "model"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        chat(**fields)
    assert named in caught.value.sentence


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff"])
def test_a_body_that_is_no_request_is_one_sentence(body: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse(ChatRequest, body)


def test_a_completion_takes_one_prompt() -> None:
    generation = parse(CompletionRequest, b'{"model": "small", "prompt": ["Once"], "logprobs": 2}').generation
    assert (generation.prompt, generation.sampling.max_tokens, generation.sampling.logprobs) == ("Once", 16, 2)
    with pytest.raises(InvalidArgument, match="prompt"):
        parse(CompletionRequest, b'{"model": "small", "prompt": ["a", "b"]}')


def test_embeddings_take_one_text_or_many() -> None:
    assert parse(EmbeddingsRequest, b'{"model": "m", "input": "a"}').input == ["a"]
    assert parse(EmbeddingsRequest, b'{"model": "m", "input": ["a", "b"]}').input == ["a", "b"]
    for wrong in (b"[]", b"[[1, 2]]", orjson.dumps(["a"] * 257)):
        with pytest.raises(InvalidArgument, match="input"):
            parse(EmbeddingsRequest, b'{"model": "m", "input": ' + wrong + b"}")
