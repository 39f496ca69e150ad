"""Which items changed, as Redis itself tells it: no writer has to announce anything.

Redis sends the keys written under given prefixes (CLIENT TRACKING in broadcast mode) to a connection that listens.
When that connection is lost, writes may have been missed: every watch then ends, and whoever held it starts anew
with the whole catalog.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis import RedisError
from redis.asyncio import Connection, ConnectionPool
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from services.features.reader import place_of
from services.runtime.errors import Unavailable
from services.runtime.logs import get_logger

log = get_logger("features.changes")

CHANNEL = b"__redis__:invalidate"
"""Where Redis publishes invalidations to a RESP2 connection."""
SILENCE_S = 5.0
"""After this long without a word the connection is probed, and given up when it does not answer."""


class Watch:
    """The changes one caller has not been told yet; bounded by the number of items, since each is held once."""

    def __init__(self) -> None:
        self._changed: set[int] = set()
        self._woken = asyncio.Event()
        self._broken: str | None = None

    async def changes(self, coalesce_s: float, most: int) -> NDArray[np.uint64]:
        """Waits for a change, gathers for `coalesce_s` seconds, and returns at most `most` ids.

        Unavailable when changes may have been missed and the caller must start anew.
        """
        await self._woken.wait()
        if self._broken is None:
            await asyncio.sleep(coalesce_s)
        if self._broken is not None:
            raise Unavailable(self._broken)
        taken = [self._changed.pop() for _ in range(min(most, len(self._changed)))]
        if not self._changed:
            self._woken.clear()
        return np.array(sorted(taken), np.uint64)

    def add(self, ids: set[int]) -> None:
        """Marks items as changed."""
        self._changed |= ids
        self._woken.set()

    def end(self, reason: str) -> None:
        """Makes `changes` raise from now on."""
        self._broken = reason
        self._woken.set()


class ItemChanges:
    """The changed items of a Redis, told to every open watch."""

    def __init__(self, url: str, prefixes: Sequence[bytes], timeout_s: float) -> None:
        self._place = place_of(url)
        self._prefixes = tuple(prefixes)
        self._pool = ConnectionPool.from_url(
            url, protocol=2, socket_connect_timeout=timeout_s, socket_timeout=None, client_name="cascade-item-changes"
        )
        self._timeout_s = timeout_s
        self._watches: set[Watch] = set()
        self._listening = asyncio.Event()
        self._closed = False
        self.task: asyncio.Task[None] | None = None
        """The listening, while open; it ends only by a mistake."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, prefixes: Sequence[bytes], *, timeout_s: float = 0.5, deadline_s: float = 30.0
    ) -> AsyncIterator[ItemChanges]:
        """Listens for as long as the block lasts, and connects again by itself.

        The block begins once it listens; Unavailable when that takes longer than `deadline_s` seconds.
        """
        changes = cls(url, prefixes, timeout_s)
        changes.task = task = asyncio.create_task(changes._listen_forever())
        try:
            await changes._wait(deadline_s)
            yield changes
        finally:
            changes.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await changes._pool.aclose()

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """A watch of everything that changes from now on. Unavailable while Redis is not listened to."""
        if self._closed:
            raise Unavailable("The features service is stopping.")
        if not self._listening.is_set():
            raise Unavailable(f"Redis at {self._place} is not connected; changes of items cannot be followed yet.")
        watch = Watch()
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def close(self) -> None:
        """Ends every watch; new ones are refused."""
        self._closed = True
        self._end_watches("The features service is stopping.")

    async def _wait(self, deadline_s: float) -> None:
        try:
            await asyncio.wait_for(self._listening.wait(), deadline_s)
        except TimeoutError as error:
            raise Unavailable(f"Redis at {self._place} was not connected within {deadline_s:g} s.") from error

    async def _listen_forever(self) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((RedisError, OSError)),
            wait=wait_random_exponential(0.05, max=1.0),
            before_sleep=self._say,
        ):
            with attempt:
                await self._listen()

    def _say(self, attempt: RetryCallState) -> None:
        reason = attempt.outcome.exception() if attempt.outcome else None
        log.warning("not following items", redis=self._place, reason=str(reason) or type(reason).__name__)

    async def _listen(self) -> None:
        connection: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._subscribe(connection)
            self._listening.set()
            log.info("following items", redis=self._place)
            while True:
                self._tell(await self._next(connection))
        finally:
            self._listening.clear()
            self._end_watches(f"The connection to Redis at {self._place} was lost; start from a new snapshot.")
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    async def _subscribe(self, connection: Connection) -> None:
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py
        await connection.send_command("CLIENT", "ID")
        me = await connection.read_response()
        prefixes = [word for prefix in self._prefixes for word in ("PREFIX", prefix)]
        await connection.send_command("CLIENT", "TRACKING", "ON", "REDIRECT", me, "BCAST", *prefixes)
        await connection.read_response()
        await connection.send_command("SUBSCRIBE", CHANNEL)
        await connection.read_response()

    async def _next(self, connection: Connection) -> list[Any]:
        """The next message; TimeoutError (an OSError) when Redis does not even answer a ping."""
        try:
            async with asyncio.timeout(SILENCE_S):
                return await self._read(connection)
        except TimeoutError:
            await connection.send_command("PING")
            async with asyncio.timeout(self._timeout_s):
                return await self._read(connection)

    async def _read(self, connection: Connection) -> list[Any]:
        reply: list[Any] = await connection.read_response(disconnect_on_error=False)
        return reply

    def _tell(self, message: list[Any]) -> None:
        if message[0] != b"message":
            return
        keys = message[2]
        if keys is None:
            raise ConnectionResetError("Redis was flushed.")
        changed = {int(key.rpartition(b":")[2]) for key in keys}
        for watch in self._watches:
            watch.add(changed)

    def _end_watches(self, reason: str) -> None:
        for watch in self._watches:
            watch.end(reason)
