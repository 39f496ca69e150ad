"""The guardrails as a call meets them: whose they are, and what is counted.

request = guardrails.inbound(caller, request)
text = guardrails.outbound(caller).whole(text)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing

from services.llm.admission.keys import VirtualKey
from services.llm.calls import Generation, Piece
from services.llm.guardrails.config import GuardrailConfig
from services.llm.guardrails.finding import Finding
from services.llm.guardrails.inbound import Inbound, Injected
from services.llm.guardrails.outbound import Outbound
from services.llm.guardrails.pii import RULES
from services.runtime.logs import get_logger
from services.runtime.metrics import LLM_GUARDED

log = get_logger("guardrails")


class Guardrails:
    """For all callers. A key without guardrails has lengths that are bounded, and nothing else."""

    def __init__(self, config: GuardrailConfig) -> None:
        self._inbound = Inbound(config)
        self._refuses = config.injection == "refuse"
        self._rules = tuple(rule for rule in RULES if rule.kind in config.redact_out)

    def inbound(self, caller: VirtualKey, request: Generation) -> Generation:
        """What may go on to caches and models. TooLarge, or InvalidArgument for an injection."""
        self._inbound.check_length(request)
        if not caller.guardrails:
            return request
        try:
            screened = self._inbound.screen(request)
        except Injected as refused:
            _count("in", "refused", refused.findings)
            log.warning("refused", key=caller.name, kinds=[finding.kind for finding in refused.findings])
            raise
        for finding in screened.findings:
            _count("in", "redacted" if finding.kind.startswith("pii.") else "flagged", [finding])
        return screened.request

    def outbound(self, caller: VirtualKey) -> CountedOutbound:
        """For one answer."""
        return CountedOutbound(self._rules if caller.guardrails else ())


class CountedOutbound(Outbound):
    """One answer on its way out, counted when it is there."""

    def whole(self, text: str) -> str:
        """All of an answer's text."""
        text = super().whole(text)
        _count("out", "redacted", self.findings)
        return text

    async def pieces(self, stream: AsyncIterator[Piece]) -> AsyncGenerator[Piece, None]:
        """A whole stream, also one that breaks off."""
        try:
            async with aclosing(super().pieces(stream)) as out:
                async for piece in out:
                    yield piece
        finally:
            _count("out", "redacted", self.findings)


def _count(direction: str, action: str, found: Iterable[Finding]) -> None:
    for finding in found:
        LLM_GUARDED.labels(direction, finding.kind, action).inc(finding.count)
