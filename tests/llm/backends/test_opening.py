"""A backend is a URL."""

from __future__ import annotations

import pytest

from services.llm.backends.openai import OpenAIBackend
from services.llm.backends.opening import Opening, open_backend
from services.llm.backends.template import TemplateBackend
from services.runtime.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "kind"),
    [("openai://host/v1", OpenAIBackend), ("openai://host:8000/v1/", OpenAIBackend),
     ("openais://host/api/v1", OpenAIBackend), ("template://", TemplateBackend)],
)  # fmt: skip
async def test_the_scheme_chooses_the_backend(url: str, kind: type) -> None:
    backend = open_backend(url)
    assert isinstance(backend, kind)
    await backend.close()


async def test_sentences_are_encoded_in_this_process() -> None:
    backend = open_backend("native://minilm")
    vectors, tokens = await backend.embed("minilm", ["a heist film"], 30.0)
    assert vectors.shape == (1, 384)
    assert tokens > 0
    await backend.close()


@pytest.mark.parametrize(
    "url",
    ["", "host:8000", "http://host/v1", "openai://", "openai:///v1", "openai://host", "openai://host/v2",
     "openai://host:99999/v1", "openai://host:x/v1", "openai://host/v1?key=1", "openai://host/v1#1"],
)  # fmt: skip
async def test_another_url_is_refused_and_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match=r"openai://") as caught:
        open_backend(url)
    assert repr(url) in caught.value.sentence


async def test_a_key_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        open_backend("openai://user:sk-secret@host/v1")
    assert "secret" not in caught.value.sentence


async def test_a_key_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", " ")
    with pytest.raises(SettingsError, match="A_KEY"):
        open_backend("openais://host/v1", Opening(key_env="A_KEY"))
