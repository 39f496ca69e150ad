"""The vector index: one protocol, chosen by a URL.

edge:///path                            Qdrant's engine in this process, over a folder
qdrant://host:6334/collection           a Qdrant server over gRPC; over REST on 6333 where gRPC is not let through
qdrant+http://host:6333/collection      the same over REST
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import grpc
from qdrant_client import QdrantClient

from services.retrieval.index.edge import EdgeIndex
from services.retrieval.index.protocol import Hits, VectorIndex
from services.retrieval.index.qdrant import QdrantIndex
from services.runtime.client import CHANNEL_OPTIONS
from services.runtime.errors import SettingsError
from services.runtime.logs import get_logger

__all__ = ["Hits", "VectorIndex", "open_index"]

log = get_logger("index")

REST_PORT = 6333
"""Where a Qdrant server answers REST unless told otherwise."""
FORMS = "edge:///path, qdrant://host:6334/collection or qdrant+http://host:6333/collection"


def open_index(url: str, dimension: int = 64, timeout_s: float = 5.0) -> VectorIndex:
    """The index a URL names, created empty when it is not there; SettingsError for a URL of another form."""
    parts = urlsplit(url)
    if parts.scheme == "edge" and parts.path:
        folder = Path(parts.path)
        return (
            EdgeIndex.open(folder) if folder.is_dir() and any(folder.iterdir()) else EdgeIndex.create(folder, dimension)
        )
    collection = parts.path.strip("/")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or not collection or parts.scheme not in ("qdrant", "qdrant+http"):
        raise SettingsError(f"A vector index must look like {FORMS}, not {url!r}.", field="index_url")
    if parts.scheme == "qdrant+http":
        client = QdrantClient(url=f"http://{host}:{port}", timeout=int(timeout_s), check_compatibility=False)
        return QdrantIndex(client, collection, dimension, timeout_s=timeout_s)
    channel = grpc.insecure_channel(f"{host}:{port}", options=list(CHANNEL_OPTIONS))
    if not _answers(channel, timeout_s):
        channel.close()
        log.warning("no gRPC; asking by REST, which costs more", index=url, rest_port=REST_PORT)
        return open_index(f"qdrant+http://{host}:{REST_PORT}/{collection}", dimension, timeout_s)
    client = QdrantClient(
        host=host, grpc_port=port, prefer_grpc=True, timeout=int(timeout_s), check_compatibility=False
    )
    return QdrantIndex(client, collection, dimension, channel=channel, timeout_s=timeout_s)


def _answers(channel: grpc.Channel, timeout_s: float) -> bool:
    try:
        grpc.channel_ready_future(channel).result(timeout_s)
    except grpc.FutureTimeoutError:
        return False
    return True
