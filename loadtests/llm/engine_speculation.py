"""Speculation on and off: where answers repeat the prompt, where they explain a film, and where they are free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from loadtests.llm.engine_drive import Driven, Model
from loadtests.llm.engine_part import Part, at_least, measured
from loadtests.llm.engine_prompts import COPIES, FREE, explanations
from loadtests.thresholds import Verdict
from services.gateway.explanations.prompt import MOST_TOKENS
from services.llm.calls import Message, Sampling

COPY_RATIO = 1.4
AT_ONCE = (1, 4)


@dataclass(frozen=True, slots=True)
class Kind:
    """Prompts of one kind and how they are answered."""

    name: str
    prompts: Sequence[Sequence[int]]
    sampling: Sampling


@dataclass(slots=True)
class Compared:
    """Rounds of one kind at one number of callers; each is off, adaptive, off."""

    kind: str
    at_once: int
    off: list[float] = field(default_factory=list)
    """Tokens per second of CPU, prompts included: the mean of the two."""
    ratios: list[float] = field(default_factory=list)
    """Adaptive by off."""
    same: list[float] = field(default_factory=list)
    """The later off by the earlier: what the machine alone makes of it."""
    drafted: int = 0
    accepted: int = 0

    @property
    def ratio(self) -> float:
        """Median over the rounds."""
        return median(self.ratios)

    @property
    def noise(self) -> float:
        """How far two equal runs of a round are apart, typically."""
        return median([abs(one - 1) for one in self.same])


def measure(model: Model, rounds: int, most_tokens: int) -> Part:
    """`rounds` rounds of each kind and number of callers; no prefix is cached, so every round does the same."""
    engines = {mode: model.engine(speculation=mode, prefix_caching=False) for mode in ("off", "adaptive")}
    found = [(kind, Compared(kind.name, at_once)) for kind in kinds(model, most_tokens) for at_once in AT_ONCE]
    for _ in range(rounds):
        for kind, compared in found:
            _round(engines, kind, compared)
    return report([compared for _, compared in found])


def kinds(model: Model, most_tokens: int) -> list[Kind]:
    """Chats of at most `most_tokens`, and the gateway's explanations as it asks for them."""

    def chats(texts: Sequence[str]) -> list[list[int]]:
        return [model.chat.render([Message("user", text)]) for text in texts]

    told = [model.tokenizer.encode(text) for text in explanations()]
    return [
        Kind("copy", chats(COPIES), Sampling(most_tokens)),
        Kind("explanation", told, Sampling(MOST_TOKENS, stop=("\n",))),
        Kind("free", chats(FREE), Sampling(most_tokens)),
    ]


def _round(engines: dict[str, Driven], kind: Kind, compared: Compared) -> None:
    adaptive = engines["adaptive"].engine
    before = adaptive.stats()
    first, tried, second = (_rate(engines[mode], kind, compared.at_once) for mode in ("off", "adaptive", "off"))
    compared.off.append((first + second) / 2)
    compared.ratios.append(tried / compared.off[-1])
    compared.same.append(second / first)
    compared.drafted += adaptive.stats().drafted_tokens - before.drafted_tokens
    compared.accepted += adaptive.stats().accepted_tokens - before.accepted_tokens


def _rate(driven: Driven, kind: Kind, at_once: int) -> float:
    tokens = driven.engine.stats().generation_tokens
    spent = measured(lambda: driven.serve(kind.prompts, kind.sampling, at_once))
    return (driven.engine.stats().generation_tokens - tokens) / spent.cpu


def report(found: Sequence[Compared]) -> Part:
    """Slower than off is what is slower by more than two equal runs differ."""
    part = Part(
        f"Speculation, adaptive by off, {len(found[0].ratios)} rounds",
        ("prompts, callers", "off tok/s", "adaptive tok/s", "ratio", "off by off", "drafted", "accepted"),
    )
    for one in found:
        name, off = f"{one.kind}, {one.at_once}", median(one.off)
        numbers = (f"{off:.0f}", f"{off * one.ratio:.0f}", f"{one.ratio:.2f}", f"±{one.noise:.1%}")
        part.rows.append((name, *numbers, str(one.drafted), str(one.accepted)))
        part.figures[name] = {
            "off_per_second": off, "ratio": one.ratio, "ratios": one.ratios, "noise": one.noise,
            "drafted": one.drafted, "accepted": one.accepted,
        }  # fmt: skip
    worst = min(found, key=lambda one: one.ratio)
    noise = max(one.noise for one in found)
    part.verdicts += [
        *(at_least("speculation, copy-like prompts, 1 caller", COPY_RATIO, one.ratio) for one in found[:1]),
        Verdict(
            "speculation is never slower than off",
            f"at least {1 - noise:.2f}× (1 less the noise)",
            f"{worst.ratio:.2f}× ({worst.kind}, {worst.at_once})",
            worst.ratio >= 1 - noise,
        ),
    ]
    return part
