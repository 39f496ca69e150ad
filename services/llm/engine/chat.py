"""Turns of a chat to the text a model was trained to continue."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import TemplateError
from jinja2.exceptions import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.llm.calls import Message
from services.llm.engine.tokenizer import TextTokenizer
from services.runtime.errors import InvalidArgument, SettingsError


class ChatTemplate:
    """The model's own template. It comes with the weights and is not trusted: it runs in Jinja's sandbox."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _refuse
        try:
            self._template = environment.from_string(tokenizer.chat_template) if tokenizer.chat_template else None
        except TemplateSyntaxError as error:
            raise SettingsError(f"The model's chat template is no Jinja ({error}).") from error

    def render(self, messages: Sequence[Message]) -> list[int]:
        """Tokens up to where the answer begins. InvalidArgument when the model knows no chats, or not such a one."""
        if self._template is None:
            raise InvalidArgument("This model has no chat template; send a prompt.", field="messages")
        turns = [{"role": m.role, "content": self._tokenizer.without_control(m.content)} for m in messages]
        try:
            return self._tokenizer.encode(self._template.render(messages=turns, add_generation_prompt=True))
        except TemplateError as error:
            raise InvalidArgument(
                f"The model's chat template refuses the messages: {error}.", field="messages"
            ) from error


def _refuse(sentence: str) -> None:
    raise TemplateError(sentence)
