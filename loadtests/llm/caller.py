"""python -m loadtests.llm.caller: the client, in a process of its own so that its CPU is nobody else's.

Reads a plan a line, does it, and writes what it saw as a line.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
import orjson
import uvloop
from yarl import URL

from loadtests.llm.rounds import NO_STATUS, Plan, Seen, fate_of

CONNECTIONS = 512
"""More calls than that wait in the client: a peer that far behind does not keep up."""


class Calls:
    """The calls of one round, over connections that are used again."""

    def __init__(self, session: aiohttp.ClientSession, plan: Plan) -> None:
        self._session, self._plan, self.seen = session, plan, Seen()
        self._url = URL(plan.url + "/v1/chat/completions")
        self._headers = {"Authorization": f"Bearer {plan.key}", "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=plan.timeout)

    async def run(self) -> Seen:
        """All of them."""
        started = time.perf_counter()
        await (self._open() if self._plan.rate else self._closed())
        self.seen.seconds = time.perf_counter() - started
        return self.seen

    async def _open(self) -> None:
        """At a fixed rate, whatever comes back (an open loop, without coordinated omission)."""
        clock = asyncio.get_running_loop().time
        started, calls = clock(), set[asyncio.Task[None]]()
        for place in range(self._plan.calls):
            wait = started + place / self._plan.rate - clock()
            if wait > 0:
                await asyncio.sleep(wait)
            calls.add(asyncio.create_task(self._call(place)))
        await asyncio.gather(*calls)

    async def _closed(self) -> None:
        places = iter(range(self._plan.calls))

        async def one_after_the_other() -> None:
            for place in places:
                await self._call(place)

        await asyncio.gather(*(one_after_the_other() for _ in range(self._plan.clients)))

    async def _call(self, place: int) -> None:
        body, status = self._plan.body(place), NO_STATUS
        started = time.perf_counter()
        try:
            async with self._session.post(
                self._url, data=body, headers=self._headers, timeout=self._timeout
            ) as response:
                status = str(response.status)
                await self._read(response, started)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._complain(f"{type(error).__name__}: {error}")
            # A stream that breaks off has had its 200.
            status = status if self._plan.stream else NO_STATUS
        self.seen.statuses[status] = self.seen.statuses.get(status, 0) + 1

    async def _read(self, response: aiohttp.ClientResponse, started: float) -> None:
        if response.status != 200:
            self._complain((await response.text())[:300])
        elif self._plan.stream:
            await self._read_stream(response, started)
        else:
            answer = await response.read()
            self.seen.milliseconds.append((time.perf_counter() - started) * 1000)
            usage = orjson.loads(answer)["usage"]
            self.seen.prompt_tokens += usage["prompt_tokens"]
            self.seen.completion_tokens += usage["completion_tokens"]

    async def _read_stream(self, response: aiohttp.ClientResponse, started: float) -> None:
        data, first, ended = b"", 0.0, False
        try:
            async for chunk in response.content.iter_any():
                first = first or time.perf_counter()
                data += chunk
            ended = b"data: [DONE]" in data
            if ended:
                self.seen.milliseconds.append((time.perf_counter() - started) * 1000)
        finally:
            if first:
                self.seen.first_milliseconds.append((first - started) * 1000)
                fate = fate_of(text_of(data), ended)
                self.seen.streams[fate] = self.seen.streams.get(fate, 0) + 1

    def _complain(self, what: str) -> None:
        self.seen.complaint = self.seen.complaint or what


def text_of(data: bytes) -> str:
    """The text of a chat's events, as far as they came."""
    *whole, _ = data.replace(b"\r\n", b"\n").split(b"\n\n")
    events = [orjson.loads(event[6:]) for event in whole if event.startswith(b"data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event.get("choices", ()))


async def _plans() -> AsyncIterator[Plan]:
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        yield Plan.read(line)


async def _serve() -> None:
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=60)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        gc.freeze()
        async for plan in _plans():
            seen = await Calls(session, plan).run()
            sys.stdout.buffer.write(seen.line)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
