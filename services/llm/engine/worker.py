"""The engine in a thread of its own, for asyncio callers."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count

from services.llm.calls import Piece, Sampling
from services.llm.engine.engine import Engine, Output
from services.llm.engine.observer import EngineStats
from services.runtime.errors import CascadeError, DeadlineExceeded, TooMany, Unavailable
from services.runtime.logs import get_logger

_LOOK_SECONDS = 1.0
"""Longest sleep of the idle thread; what wakes it is a notice, not this."""
CLOSE_SECONDS = 30.0
"""How long a step, or loading, may go on after `close`."""
_CLOSED = "The engine is closed."

log = get_logger("engine")
Prompt = Callable[[Engine], Sequence[int]]
"""Makes a prompt's tokens in the engine's thread."""


@dataclass(slots=True)
class _Caller:
    """Where a request's pieces go."""

    loop: asyncio.AbstractEventLoop
    pieces: asyncio.Queue[Piece | CascadeError]

    def tell(self, found: Piece | CascadeError) -> None:
        """From any thread."""
        try:
            self.loop.call_soon_threadsafe(self.pieces.put_nowait, found)
        except RuntimeError:
            log.info("a caller's event loop ended before its answer")


class AsyncEngine:
    """Builds the engine in its thread, steps while there is work, and hands out pieces.

    A step that fails ends every call with Unavailable; the engine goes on with the next ones.
    """

    def __init__(self, build: Callable[[], Engine], max_requests: int) -> None:
        self._build, self._max_requests = build, max_requests
        self._callers: dict[str, _Caller] = {}
        self._commands: deque[Callable[[Engine], None]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._failure: str | None = None
        self._ids = count()
        self._engine: Engine | None = None
        self._thread = threading.Thread(target=self._work, name="llm-engine", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and the thread takes requests."""
        return self._engine is not None and not self._closing and self._failure is None

    @property
    def num_requests(self) -> int:
        """Requests whose answers are not finished."""
        return len(self._callers)

    def stats(self) -> EngineStats | None:
        """The engine now; None while it loads."""
        return self._engine.stats() if self._engine is not None else None

    async def stream(
        self, prompt: Prompt, sampling: Sampling, *, priority: int = 0, timeout: float
    ) -> AsyncGenerator[Piece, None]:
        """The answer as it comes; `timeout` is the longest silence in seconds.

        TooMany at once when too many go on; closing the iterator frees the request's blocks before the next step.
        """
        caller, request_id = _Caller(asyncio.get_running_loop(), asyncio.Queue()), str(next(self._ids))
        self._enter(request_id, caller, prompt, sampling, priority)
        finished = False
        try:
            while not finished:
                piece = await _next(caller.pieces, timeout)
                finished = piece.finish_reason is not None
                yield piece
        finally:
            with self._changed:
                left = self._callers.pop(request_id, None)
            if left is not None and not finished:
                self._command(lambda engine: engine.abort(request_id))

    async def close(self) -> None:
        """Ends every call with Unavailable and the thread after its step; Unavailable when that does not end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, CLOSE_SECONDS)
        if self._thread.is_alive():
            raise Unavailable(f"The engine's step did not end within {CLOSE_SECONDS:.0f} seconds.")

    def _enter(self, request_id: str, caller: _Caller, prompt: Prompt, sampling: Sampling, priority: int) -> None:
        def add(engine: Engine) -> None:
            if request_id not in self._callers:
                return
            try:
                engine.add_request(request_id, prompt(engine), sampling, priority=priority)
            except CascadeError as error:
                self._end(request_id, error)

        with self._changed:
            if self._closing or self._failure is not None:
                raise Unavailable(self._failure or _CLOSED)
            if len(self._callers) >= self._max_requests:
                raise TooMany(f"{len(self._callers)} requests are in the engine already; try again in a moment.")
            self._callers[request_id] = caller
            self._commands.append(add)
            self._changed.notify()

    def _command(self, command: Callable[[Engine], None]) -> None:
        with self._changed:
            self._commands.append(command)
            self._changed.notify()

    def _end(self, request_id: str, error: CascadeError) -> None:
        with self._changed:
            caller = self._callers.pop(request_id, None)
        if caller is not None:
            caller.tell(error)

    def _work(self) -> None:
        try:
            self._engine = engine = self._build()
            while self._wait(engine):
                self._turn(engine)
            self._give_up(_CLOSED)
        except CascadeError as error:
            log.error("the model cannot be loaded", reason=error.sentence)
            self._give_up(error.sentence)
        except Exception:
            # A boundary: without this thread nobody would answer the callers.
            log.exception("the engine ended")
            self._give_up("The engine ended; its log says why.")

    def _give_up(self, sentence: str) -> None:
        with self._changed:
            self._failure = sentence
            self._commands.clear()
        self._end_all(sentence)

    def _end_all(self, sentence: str) -> None:
        with self._changed:
            callers = list(self._callers)
        for request_id in callers:
            self._end(request_id, Unavailable(sentence))

    def _wait(self, engine: Engine) -> bool:
        """True when there is something to do; False when the engine is to end."""
        with self._changed:
            while not (self._closing or self._commands or engine.has_work):
                self._changed.wait(_LOOK_SECONDS)
            return not self._closing

    def _turn(self, engine: Engine) -> None:
        try:
            while self._commands:
                self._commands.popleft()(engine)
            for output in engine.step():
                self._hand_out(output)
        except Exception:
            # A boundary: one broken batch must not end the engine.
            log.exception("a step failed")
            engine.abort_all()
            self._end_all("The engine failed in the middle of the answer; try again.")

    def _hand_out(self, output: Output) -> None:
        caller = self._callers.get(output.request_id)
        if caller is not None and (output.piece.text or output.piece.logprobs or output.piece.finish_reason):
            caller.tell(output.piece)


async def _next(pieces: asyncio.Queue[Piece | CascadeError], timeout: float) -> Piece:
    try:
        async with asyncio.timeout(timeout):
            found = await pieces.get()
    except TimeoutError as error:
        raise DeadlineExceeded(f"The engine gave no token within {timeout:g} seconds.") from error
    if isinstance(found, CascadeError):
        raise found
    return found


async def gather_pieces(stream: AsyncGenerator[Piece, None], timeout: float) -> list[Piece]:
    """All pieces within `timeout` seconds; DeadlineExceeded, and the stream closed, when they take longer."""
    try:
        async with asyncio.timeout(timeout), aclosing(stream) as pieces:
            return [piece async for piece in pieces]
    except TimeoutError as error:
        raise DeadlineExceeded(f"The answer took longer than {timeout:g} seconds.") from error
