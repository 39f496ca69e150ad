"""The text store that a URL names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from qdrant_client import QdrantClient

from services.retrieval.text.edge import EdgeTextStore
from services.retrieval.text.qdrant import QdrantTextStore
from services.retrieval.text.store import TextStore
from services.runtime.errors import SettingsError, Unavailable
from services.runtime.logs import get_logger

log = get_logger("text_index")

REST_PORT = 6333
"""Where a Qdrant server answers REST unless told otherwise."""
FORMS = "edge:///path, qdrant://host:6334/collection or qdrant+http://host:6333/collection"


def open_text_store(url: str, dimensions: int, timeout_s: float = 5.0) -> TextStore:
    """The store; SettingsError for a URL of another form, Unavailable when no server answers within the time."""
    parts = urlsplit(url)
    if parts.scheme == "edge" and parts.path.strip("/"):
        return EdgeTextStore(Path(parts.path), dimensions)
    collection = parts.path.strip("/")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or not collection or parts.scheme not in ("qdrant", "qdrant+http"):
        raise SettingsError(f"A text index must look like {FORMS}, not {url!r}.", field="text_index_url")
    seconds = max(1, round(timeout_s))
    if parts.scheme == "qdrant+http":
        return _opened(
            QdrantClient(url=f"http://{host}:{port}", timeout=seconds, check_compatibility=False),
            collection,
            dimensions,
        )
    try:
        grpc_first = QdrantClient(
            host=host, grpc_port=port, prefer_grpc=True, timeout=seconds, check_compatibility=False
        )
        return _opened(grpc_first, collection, dimensions)
    except Unavailable as error:
        log.warning("no gRPC; asking by REST, which costs more", index=url, rest_port=REST_PORT, reason=str(error))
        return open_text_store(f"qdrant+http://{host}:{REST_PORT}/{collection}", dimensions, timeout_s)


def _opened(client: QdrantClient, collection: str, dimensions: int) -> QdrantTextStore:
    try:
        return QdrantTextStore(client, collection, dimensions)
    except BaseException:
        client.close()
        raise
