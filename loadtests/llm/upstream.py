"""python -m loadtests.llm.upstream: the fake upstream of the tests in a process of its own, on a fast event loop."""

from __future__ import annotations

import argparse
import asyncio

import uvloop

from tests.llm.upstream import Behaviour, Upstream


async def serve(name: str, port: int, behaviour: Behaviour) -> None:
    """Answers until the process is ended; every word it says names it."""
    async with Upstream(name, port) as upstream:
        upstream.behaviour = behaviour
        await asyncio.Event().wait()


def main() -> None:
    """Serves by the command line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--name", default="upstream")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--words", type=int, default=6, help="of an answer")
    arguments.add_argument("--seconds-a-word", type=float, default=0.0)
    chosen = arguments.parse_args()
    behaviour = Behaviour(words=chosen.words, seconds_a_word=chosen.seconds_a_word)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(chosen.name, chosen.port, behaviour))


if __name__ == "__main__":
    main()
