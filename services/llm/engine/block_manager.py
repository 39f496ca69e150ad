"""KV blocks: who holds which, and which full ones may be shared because the tokens up to their end are equal.

A question (can_*, match) has no side effect; its action assumes that the answer was yes.
Paged KV cache: Kwon et al., "Efficient Memory Management for LLM Serving with PagedAttention", SOSP 2023, section 4.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from hashlib import blake2b

from services.llm.engine.sequence import Sequence


class BlockManager:
    """Every block is held (reference count above 0), free and remembered by its hash, or blank."""

    def __init__(self, num_blocks: int, block_size: int, prefix_caching: bool = True) -> None:
        self.num_blocks, self.block_size, self.prefix_caching = num_blocks, block_size, prefix_caching
        self._references = [0] * num_blocks
        self._blank = list(range(num_blocks - 1, -1, -1))
        self._remembered: OrderedDict[int, None] = OrderedDict()  # free, oldest first
        self._block_of: dict[bytes, int] = {}
        self._hash_of: dict[int, bytes] = {}
        self.queries = 0
        """Tokens looked up in the prefix cache."""
        self.hits = 0
        """Tokens found there."""

    @property
    def num_free(self) -> int:
        """Blocks that can be taken, remembered ones included."""
        return len(self._blank) + len(self._remembered)

    @property
    def num_used(self) -> int:
        """Blocks that some sequence holds."""
        return self.num_blocks - self.num_free

    def references(self, block: int) -> int:
        """Sequences that hold the block."""
        return self._references[block]

    def blocks_for(self, tokens: int) -> int:
        """Blocks that hold so many tokens."""
        return -(-tokens // self.block_size)

    def match(self, sequence: Sequence) -> list[int]:
        """Remembered blocks of the longest equal prefix. The last token is never among them: it is to be computed."""
        found: list[int] = []
        if not self.prefix_caching:
            return found
        for index in range((len(sequence.tokens) - 1) // self.block_size):
            block = self._block_of.get(self._chain(sequence, index))
            if block is None:
                break
            found.append(block)
        return found

    def can_allocate(self, sequence: Sequence, prefix: list[int]) -> bool:
        """Whether all tokens of a sequence without blocks fit, the matched prefix being shared."""
        revived = sum(1 for block in prefix if self._references[block] == 0)
        return self.blocks_for(len(sequence.tokens)) - len(prefix) <= self.num_free - revived

    def allocate(self, sequence: Sequence, prefix: list[int]) -> None:
        """Gives it the prefix and new blocks for its other tokens."""
        for block in prefix:
            if self._references[block] == 0:
                del self._remembered[block]
            self._references[block] += 1
        missing = self.blocks_for(len(sequence.tokens)) - len(prefix)
        sequence.block_table = prefix + [self._take() for _ in range(missing)]
        sequence.num_remembered = len(prefix)
        sequence.num_computed = len(prefix) * self.block_size
        if self.prefix_caching:
            self.queries += len(sequence.tokens)
            self.hits += sequence.num_computed

    def can_append(self, sequence: Sequence, count: int) -> bool:
        """Whether `count` tokens after the computed ones fit."""
        return self.blocks_for(sequence.num_computed + count) - len(sequence.block_table) <= self.num_free

    def append(self, sequence: Sequence, count: int) -> None:
        """Gives it the blocks that `count` tokens after the computed ones need."""
        missing = self.blocks_for(sequence.num_computed + count) - len(sequence.block_table)
        sequence.block_table.extend(self._take() for _ in range(missing))

    def remember(self, sequence: Sequence) -> None:
        """Makes its full computed blocks known to later prefixes.

        A block whose twin is known already stays unknown: block tables are append-only, so nothing is merged.
        """
        if not self.prefix_caching:
            return
        for index in range(sequence.num_remembered, sequence.num_computed // self.block_size):
            chain = self._chain(sequence, index)
            if chain not in self._block_of:
                self._block_of[chain] = sequence.block_table[index]
                self._hash_of[sequence.block_table[index]] = chain
            sequence.num_remembered = index + 1

    def free(self, sequence: Sequence) -> None:
        """Takes all its blocks; the end of the sequence is forgotten before its beginning."""
        for block in reversed(sequence.block_table):
            self._references[block] -= 1
            if self._references[block] == 0:
                if block in self._hash_of:
                    self._remembered[block] = None
                else:
                    self._blank.append(block)
        sequence.block_table = []
        sequence.num_remembered = sequence.num_computed = 0

    def _take(self) -> int:
        if self._blank:
            block = self._blank.pop()
        else:
            block, _ = self._remembered.popitem(last=False)
            del self._block_of[self._hash_of.pop(block)]
        self._references[block] = 1
        return block

    def _chain(self, sequence: Sequence, index: int) -> bytes:
        """Hash of the tokens up to the end of block `index`: of the hash before it and the block's own tokens."""
        hashes = sequence.block_hashes
        while len(hashes) <= index:
            start = len(hashes) * self.block_size
            digest = blake2b(hashes[-1] if hashes else b"", digest_size=16)
            digest.update(array("q", sequence.tokens[start : start + self.block_size]))
            hashes.append(digest.digest())
        return hashes[index]
