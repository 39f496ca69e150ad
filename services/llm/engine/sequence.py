"""The one piece of mutable state that scheduler, block manager and runner pass around."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Sequence:
    """A prompt and what was generated after it, with the KV blocks that hold it."""

    request_id: str
    tokens: list[int]
    """Prompt, then output."""
    max_tokens: int
    """Most tokens to generate."""
    priority: int = 0
    """Lower goes first."""
    arrival: int = 0
    """Given by the scheduler; orders sequences of equal priority."""
    prompt_length: int = field(init=False)
    num_computed: int = 0
    """Leading tokens whose keys and values are in the cache."""
    num_scheduled: int = 0
    """Tokens, drafts included, that the present step computes."""
    num_cached: int = 0
    """Prompt tokens found in the prefix cache at the first admission."""
    num_preemptions: int = 0
    """Times it lost its blocks."""
    draft: list[int] = field(default_factory=list)
    """Tokens proposed to follow, verified by the present step."""
    block_table: list[int] = field(default_factory=list)
    """Ids of its KV blocks, in order."""
    num_remembered: int = 0
    """Leading blocks of the table that the block manager has seen full."""
    block_hashes: list[bytes] = field(default_factory=list)
    """Hash chain of the leading full blocks; the tokens they stand for never change."""

    def __post_init__(self) -> None:
        self.prompt_length = len(self.tokens)

    @property
    def rank(self) -> tuple[int, int]:
        """Its place: by priority, then by arrival."""
        return self.priority, self.arrival

    @property
    def num_uncomputed(self) -> int:
        """Tokens to compute before the next one can be chosen: 1 while decoding."""
        return len(self.tokens) - self.num_computed

    @property
    def num_generated(self) -> int:
        """Tokens of the output."""
        return len(self.tokens) - self.prompt_length

    @property
    def reaches_end(self) -> bool:
        """Whether the present step computes its last token, so that the next can be chosen."""
        return self.num_scheduled >= self.num_uncomputed
