"""Whatever a Qdrant server does wrong is one sentence that says what it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from qdrant_client import grpc as wire

from services.retrieval.answering import MOST_CHARACTERS, answering
from services.retrieval.index import open_index
from services.retrieval.text.opening import open_text_store
from services.runtime.errors import Unavailable


class Refusing(BaseHTTPRequestHandler):
    """Answers everything with the server's status and body."""

    def do_GET(self) -> None:
        status, body = self.server.answer  # type: ignore[attr-defined]  # set by the fixture
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def refusing() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def sentence(server: ThreadingHTTPServer, status: int, body: bytes, *, text: bool = False) -> str:
    server.answer = (status, body)  # type: ignore[attr-defined]  # read by Refusing
    url = f"qdrant+http://127.0.0.1:{server.server_address[1]}/films"
    with pytest.raises(Unavailable) as caught:
        open_text_store(url, 4) if text else open_index(url, 4)
    return caught.value.sentence


def test_a_refusal_over_rest_is_told_with_its_status_and_the_servers_sentence(refusing: ThreadingHTTPServer) -> None:
    body = json.dumps({"status": {"error": "Not found: Collection `films` doesn't exist!"}, "time": 0}).encode()
    told = "refuses: 404 Not Found: Not found: Collection `films` doesn't exist!"
    assert sentence(refusing, 404, body) == f"The vector index 'films' {told}"
    assert sentence(refusing, 404, body, text=True) == f"The text index 'films' {told}"


def test_a_page_of_a_proxy_is_cut(refusing: ThreadingHTTPServer) -> None:
    told = sentence(refusing, 502, b"<html>\n" + b"down " * 1000)
    assert told.startswith("The vector index 'films' refuses: 502 Bad Gateway: <html> down down")
    assert len(told) <= len("The vector index 'films' refuses: ") + MOST_CHARACTERS


def test_a_server_that_asks_for_patience_is_unavailable_too(refusing: ThreadingHTTPServer) -> None:
    told = sentence(refusing, 429, b'{"status": {"error": "rate limited"}}')
    assert told == "The vector index 'films' refuses for now: rate limited"


def test_a_server_that_is_not_there_does_not_answer() -> None:
    with pytest.raises(Unavailable, match="'films' does not answer: .*refused"):
        open_index("qdrant+http://127.0.0.1:1/films", 4)


def test_a_refusal_over_grpc_is_told_with_its_code_and_details() -> None:
    def refused(request: wire.QueryPoints, context: Any) -> None:
        context.abort(grpc.StatusCode.NOT_FOUND, "Collection `films` doesn't exist!")

    method = grpc.unary_unary_rpc_method_handler(
        refused, wire.QueryPoints.FromString, wire.QueryResponse.SerializeToString
    )
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("qdrant.Points", {"Query": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    stub = wire.PointsStub(channel)  # type: ignore[no-untyped-call]  # generated without types
    with (
        pytest.raises(Unavailable, match="^It refuses: NOT_FOUND: Collection `films` doesn't exist!$"),
        answering("It"),
    ):
        stub.Query(wire.QueryPoints(collection_name="films"), timeout=5)
    channel.close()
    server.stop(0).wait()
