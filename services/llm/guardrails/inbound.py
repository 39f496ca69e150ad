"""What a model gets to read: bounded, screened for injection, without personal data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from services.llm.calls import Generation
from services.llm.guardrails.config import GuardrailConfig
from services.llm.guardrails.finding import Finding, findings
from services.llm.guardrails.injection import signs_of_injection
from services.llm.guardrails.length import check_length
from services.llm.guardrails.pii import RULES
from services.llm.guardrails.redaction import redacted
from services.runtime.errors import InvalidArgument


class Injected(InvalidArgument):
    """A text tries to give the model other orders. The sentence does not say what gave it away."""

    def __init__(self, field: str, found: tuple[Finding, ...]) -> None:
        super().__init__(
            f"{field} reads like an attempt to change the model's instructions and was not passed on. Put it in other "
            "words.",
            field=field,
        )
        self.findings = found


@dataclass(frozen=True, slots=True)
class Screened:
    """A call that may go on, and what was found in it."""

    request: Generation
    findings: tuple[Finding, ...] = ()


class Inbound:
    """The rules of one configuration."""

    def __init__(self, config: GuardrailConfig) -> None:
        self._config = config
        self._rules = tuple(rule for rule in RULES if rule.kind in config.redact_in)

    def check_length(self, request: Generation) -> None:
        """TooLarge for a call that nobody may make."""
        check_length(request, self._config)

    def screen(self, request: Generation) -> Screened:
        """The call without personal data; Injected when it is refused. Lengths were checked."""
        found = self._injections(request)
        counts: Counter[str] = Counter()
        messages = []
        for message in request.messages:
            content, hidden = redacted(message.content, self._rules)
            counts.update(hidden)
            messages.append(replace(message, content=content) if hidden else message)
        prompt = request.prompt
        if prompt is not None:
            prompt, hidden = redacted(prompt, self._rules)
            counts.update(hidden)
        if counts:
            request = replace(request, messages=tuple(messages), prompt=prompt)
        return Screened(request, found + findings("pii", counts))

    def _injections(self, request: Generation) -> tuple[Finding, ...]:
        """Of what users say: system prompts are the caller's own, and what the assistant said was screened."""
        if self._config.injection == "off":
            return ()
        texts = {
            f"messages.{place}.content": message.content
            for place, message in enumerate(request.messages)
            if message.role == "user"
        }
        if request.prompt is not None:
            texts["prompt"] = request.prompt
        found: Counter[str] = Counter()
        for field, text in texts.items():
            signs = signs_of_injection(text)
            if sum(signs.values()) < self._config.injection_threshold:
                continue
            found.update(list(signs))
            if self._config.injection == "refuse":
                raise Injected(field, findings("injection", found))
        return findings("injection", found)
