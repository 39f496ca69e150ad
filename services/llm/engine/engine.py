"""Requests in, text out: a step is schedule, run, postprocess.

engine = Engine(weights, tokenizer, EngineConfig())
engine.add_request("a", tokenizer.encode("Once upon a time"), Sampling(max_tokens=20))
while engine.has_work:
    for output in engine.step():
        print(output.piece.text)
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.llm.calls import Completion, Piece, Sampling, TokenLogprob
from services.llm.engine.block_manager import BlockManager
from services.llm.engine.config import EngineConfig
from services.llm.engine.detokenizer import Detokenizer
from services.llm.engine.drafts import NgramIndex, lengths_that_pay
from services.llm.engine.grammar import Grammars
from services.llm.engine.model_runner import ModelRunner
from services.llm.engine.observer import EngineObserver, EngineStats, StepStats
from services.llm.engine.request import Request
from services.llm.engine.sampler import Choice
from services.llm.engine.scheduler import Batch, Scheduler
from services.llm.engine.sequence import Sequence as TokenSequence
from services.llm.engine.tokenizer import TextTokenizer
from services.llm.engine.weights import Weights
from services.runtime.errors import InvalidArgument, TooLarge

MOST_LOGPROBS = 20


@dataclass(frozen=True, slots=True)
class Output:
    """What a step added to a request; the last one has a finish reason."""

    request_id: str
    piece: Piece
    tokens: tuple[int, ...]


class Engine:
    """Belongs to one thread. AsyncEngine gives it one and answers asyncio callers."""

    def __init__(
        self,
        weights: Weights,
        tokenizer: TextTokenizer,
        config: EngineConfig,
        *,
        observer: EngineObserver | None = None,
        scheduler: Callable[[EngineConfig, BlockManager], Scheduler] = Scheduler,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.tokenizer = config, tokenizer
        self.runner = ModelRunner(weights, config)
        self.blocks = BlockManager(self.runner.num_blocks, config.block_size, config.prefix_caching)
        self.scheduler = scheduler(config, self.blocks)
        self._observer, self._clock = observer or EngineObserver(), clock
        self._grammars: Grammars | None = None
        self._requests: dict[str, Request] = {}
        self._costs = self.runner.step_costs() if config.speculation == "adaptive" else None
        self._prompt_tokens = self._generated_tokens = self._drafted_tokens = self._accepted_tokens = 0

    @property
    def has_work(self) -> bool:
        """Whether a step would do something."""
        return bool(self._requests)

    def add_request(
        self,
        request_id: str,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        priority: int = 0,
        ignore_end: bool = False,
    ) -> None:
        """Puts a prompt of tokens behind those of equal priority.

        InvalidArgument, TooLarge: such a request is never taken. TooMany: too many wait. `ignore_end` generates
        max_tokens whatever the model says.
        """
        if request_id in self._requests:
            raise InvalidArgument(f"A request {request_id!r} goes on already.", field="request_id")
        sequence = TokenSequence(request_id, list(prompt), self._max_tokens(prompt, sampling), priority=priority)
        request = Request(
            sequence=sequence,
            sampling=sampling,
            seed=sampling.seed if sampling.seed is not None else secrets.randbits(63),
            tokenizer=self.tokenizer,
            detokenizer=Detokenizer(self.tokenizer, sampling.stop),
            arrived=self._clock(),
            grammar=self._compiler().matcher(sampling.json_schema) if sampling.json_schema is not None else None,
            ngrams=NgramIndex() if self.config.speculation != "off" else None,
            ignore_end=ignore_end,
        )
        if request.ngrams:
            request.ngrams.extend(prompt)
        self.scheduler.add(sequence)
        self._requests[request_id] = request

    def step(self) -> list[Output]:
        """Computes one batch; the outputs of the requests that got tokens."""
        started = self._clock()
        self._propose()
        batch = self.scheduler.schedule()
        if not batch.sequences:
            return []
        decoding = sum(sequence.num_computed >= sequence.prompt_length for sequence in batch.sequences)
        tokens, drafted = batch.num_tokens, sum(len(sequence.draft) for sequence in batch.sequences)
        outputs, accepted = self._run(batch)
        self._drafted_tokens += drafted
        self._accepted_tokens += accepted
        self._observer.on_step(
            StepStats(
                kind="decode" if decoding == len(batch.sequences) else "mixed" if decoding else "prefill",
                seconds=self._clock() - started,
                sequences=len(batch.sequences),
                tokens=tokens,
                generated=sum(len(output.tokens) for output in outputs),
                drafted=drafted,
                accepted=accepted,
                preempted=len(batch.preempted),
                blocks_used=self.blocks.num_used,
                slots_filled=self._slots_filled(),
            )
        )
        return outputs

    def abort(self, request_id: str) -> None:
        """Ends a request and frees its blocks; one that is not there has ended already."""
        request = self._requests.pop(request_id, None)
        if request is not None:
            self.scheduler.remove(request.sequence)
            self._observer.on_finished(None, request.usage(), self._clock() - request.arrived)

    def abort_all(self) -> None:
        """Ends every request."""
        for request_id in list(self._requests):
            self.abort(request_id)

    def stats(self) -> EngineStats:
        """The engine now."""
        return EngineStats(
            running=len(self.scheduler.running),
            waiting=len(self.scheduler.waiting),
            kv_usage=self.blocks.num_used / self.blocks.num_blocks,
            prefix_queries=self.blocks.queries,
            prefix_hits=self.blocks.hits,
            preemptions=self.scheduler.num_preemptions,
            prompt_tokens=self._prompt_tokens,
            generation_tokens=self._generated_tokens,
            drafted_tokens=self._drafted_tokens,
            accepted_tokens=self._accepted_tokens,
        )

    def generate(self, prompts: Sequence[str], sampling: Sampling, *, ignore_end: bool = False) -> list[Completion]:
        """Continues every prompt; for scripts and tests, when nothing else goes on."""
        texts: list[str] = [""] * len(prompts)
        logprobs: list[tuple[TokenLogprob, ...]] = [()] * len(prompts)
        ended: dict[int, Piece] = {}
        left = list(range(len(prompts)))
        while left or self.has_work:
            while left and len(self.scheduler.waiting) < self.config.max_waiting:
                place = left.pop(0)
                self.add_request(str(place), self.tokenizer.encode(prompts[place]), sampling, ignore_end=ignore_end)
            for output in self.step():
                place = int(output.request_id)
                texts[place] += output.piece.text
                logprobs[place] += output.piece.logprobs
                if output.piece.finish_reason is not None:
                    ended[place] = output.piece
        return [_completion(texts[place], ended[place], logprobs[place]) for place in range(len(prompts))]

    def _max_tokens(self, prompt: Sequence[int], sampling: Sampling) -> int:
        room = self.config.max_model_len - len(prompt)
        if not prompt:
            raise InvalidArgument("The prompt is empty.", field="prompt")
        if any(not 0 <= token < self.runner.shape.vocabulary for token in prompt):
            raise InvalidArgument("The prompt has tokens that the model does not know.", field="prompt")
        if room < 1:
            raise TooLarge(
                f"The prompt has {len(prompt)} tokens; the model reads at most {self.config.max_model_len - 1}.",
                field="prompt",
            )
        wanted = room if sampling.max_tokens is None else sampling.max_tokens
        if wanted < 1:
            raise InvalidArgument("max_tokens must be at least 1.", field="max_tokens")
        if (sampling.logprobs or 0) > MOST_LOGPROBS:
            raise TooLarge(f"logprobs may be at most {MOST_LOGPROBS}.", field="logprobs")
        # A gateway in front reserves a bound of its own: the answer ends by length where the context does.
        return min(wanted, room)

    def _compiler(self) -> Grammars:
        if self._grammars is None:
            self._grammars = Grammars(self.tokenizer)
        return self._grammars

    def _propose(self) -> None:
        """Drafts for the sequences that decode, as far as verifying them pays."""
        if self.config.speculation == "off":
            return
        running = self.scheduler.running
        proposals = [(s, self._requests[s.request_id]) for s in running if s.num_uncomputed == 1]
        drafts = [request.propose(self.config.max_draft) for _, request in proposals]
        lengths = [len(draft) for draft in drafts]
        if self._costs is not None and any(lengths):
            rows = sum(sequence.num_uncomputed for sequence in running)
            rows = min(rows, self.config.max_num_batched_tokens)
            lengths = lengths_that_pay([request.rate for _, request in proposals], lengths, rows, self._costs)
        for (sequence, _), draft, length in zip(proposals, drafts, lengths, strict=True):
            sequence.draft = draft[:length]

    def _run(self, batch: Batch) -> tuple[list[Output], int]:
        """(outputs, drafted tokens that were right)"""
        owners, logits = self.runner.run(batch.sequences)
        likeliest: list[int] = logits.argmax(dim=-1).tolist() if owners else []
        outputs: list[Output] = []
        accepted = 0
        for sequence, rows in owners:
            request = self._requests[sequence.request_id]
            choices = request.choices(logits[rows], likeliest[rows])
            request.count_draft(len(choices) - 1)
            accepted += len(choices) - 1
            outputs.append(self._postprocess(request, choices))
        reached = {sequence.request_id for sequence, _ in owners}
        for sequence in batch.sequences:
            if sequence.request_id not in reached:
                self.scheduler.advance(sequence, [])
        return outputs, accepted

    def _postprocess(self, request: Request, choices: list[Choice]) -> Output:
        kept, text, reason = request.keep(choices)
        sequence, tokens = request.sequence, [choice.token for choice in kept]
        self.scheduler.advance(sequence, tokens)
        if request.ngrams:
            request.ngrams.extend(tokens)
        self._observe_tokens(request, len(tokens))
        piece = Piece(text, request.logprobs(kept), reason, request.usage() if reason else None)
        if reason is not None:
            del self._requests[sequence.request_id]
            self.scheduler.remove(sequence)
            self._observer.on_finished(reason, request.usage(), self._clock() - request.arrived)
        return Output(sequence.request_id, piece, tuple(tokens))

    def _observe_tokens(self, request: Request, count: int) -> None:
        now = self._clock()
        self._generated_tokens += count
        if request.last_token is None:
            self._prompt_tokens += request.sequence.prompt_length
            self._observer.on_first_token(now - request.arrived)
        else:
            self._observer.on_next_tokens(now - request.last_token, count)
        request.last_token = now

    def _slots_filled(self) -> int:
        """Shared blocks are full; only the sequences' own last blocks have empty places."""
        size = self.blocks.block_size
        empty = sum(len(s.block_table) * size - s.num_computed for s in self.scheduler.running)
        return self.blocks.num_used * size - empty


def _completion(text: str, last: Piece, logprobs: tuple[TokenLogprob, ...]) -> Completion:
    if last.finish_reason is None or last.usage is None:
        raise AssertionError("the last piece of a request says why it ended and what it used")
    return Completion(text, last.finish_reason, last.usage, logprobs)
