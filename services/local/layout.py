"""Which processes make the stack, in the order they start; read it as the picture of the house."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ephemeral_port_reserve import reserve

from services.local.settings import LocalSettings
from services.runtime.errors import SettingsError
from services.runtime.stores import redis_command

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Each process is one of many: numerical libraries that take every core for each of them cost 4-5 times the CPU."""

NOBODYS_PORT = 9
"""`discard`. The gateway of a stack without a trainer or an llm must not find that of another at the usual port."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process of the stack."""

    name: str
    command: Sequence[str]
    url: str
    """Where it answers once it is ready: grpc://, http://, redis:// or kafka://host:port."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it is told beyond the environment of the manager."""


Waves = Sequence[Sequence[Program]]
"""Programs of one wave start together, when those before them are ready, and stop together in the reverse order."""


def layout(settings: LocalSettings) -> Waves:
    """The processes of the whole stack. SettingsError when a port is taken or the data folder cannot be written;
    port 0 is replaced by a free one.
    """
    _require_writable(settings.data_dir)
    ports = {name: _usable_port(name, settings) for name in _port_names(settings)}

    def url(scheme: str, name: str) -> str:
        return f"{scheme}://{settings.host}:{ports[name]}"

    redis_url = settings.redis_url or f"{url('redis', 'redis')}/0"
    kafka_url = settings.kafka_url or url("kafka", "kafka")
    shared = {
        "CASCADE_DATA_DIR": str(settings.data_dir),
        "CASCADE_LOG_FORMAT": settings.log_format,
        "CASCADE_REDIS_URL": redis_url,
        "CASCADE_KAFKA_URL": kafka_url,
        **{name: os.environ.get(name, "1") for name in THREADS},
    }

    def service(name: str, *peers: str, scheme: str = "grpc", **more: str) -> Program:
        told = {f"CASCADE_{name.upper()}_PORT": str(ports[name]), f"CASCADE_{name.upper()}_HOST": settings.host}
        told |= {f"CASCADE_{name.upper()}_{key.upper()}": value for key, value in more.items()}
        told |= {f"CASCADE_{name.upper()}_{peer.upper()}_URL": url("grpc", peer) for peer in peers}
        command = [sys.executable, "-m", f"services.{name}", *(["serve"] if name == "trainer" else [])]
        return Program(name, command, url(scheme, name), {**shared, **told})

    redis = redis_command(settings.data_dir / "redis", ports.get("redis", 0), settings.host)
    kafka = [sys.executable, "-m", "services.runtime.broker", "--port", str(ports.get("kafka", 0))]
    stores = [] if settings.redis_url else [Program("redis", redis, redis_url)]
    stores += [] if settings.kafka_url else [Program("kafka", kafka, kafka_url)]
    counted = f"{url('http', 'gateway')}/metrics,{url('http', 'ingest_metrics')}/metrics"
    waves = [
        stores,
        [service("features"), service("ingest", metrics_port=str(ports["ingest_metrics"]))],
        [service("retrieval", "features"), service("ranker", "features"), service("reranker", "features")],
        [service("gateway", "features", "retrieval", "ranker", "reranker", "trainer", "llm", scheme="http")],
    ]
    last = [service("trainer", metrics_urls=counted)] if settings.trainer else []
    # Nobody waits for the language models: their sentences come by rule until they are there.
    last += [_llm(service("llm", rest_port=str(ports["llm_rest"])), url("http", "llm_rest"))] if settings.llm else []
    return [*waves, last] if last else waves


def _llm(program: Program, rest: str) -> Program:
    """It answers people by REST, and its weights gain from huge pages: a tenth fewer cycles per token."""
    return replace(program, url=rest, environment={**program.environment, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"})


def _port_names(settings: LocalSettings) -> list[str]:
    own = [name for name in ("redis", "kafka") if not getattr(settings, f"{name}_url")]
    return [
        *own,
        "features",
        "ingest",
        "ingest_metrics",
        "retrieval",
        "ranker",
        "reranker",
        "trainer",
        "llm",
        "llm_rest",
        "gateway",
    ]


def _usable_port(name: str, settings: LocalSettings) -> int:
    """The port a program is to listen on, after a look whether it can."""
    if (name == "trainer" and not settings.trainer) or (name.startswith("llm") and not settings.llm):
        return NOBODYS_PORT
    port: int = getattr(settings, f"{name}_port")
    if port == 0:
        return int(reserve(settings.host))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, port))
        except OSError as error:
            raise SettingsError(
                f"Port {port} for {name} cannot be used ({error.strerror}). "
                f"Stop what holds it, or set CASCADE_{name.upper()}_PORT.",
                field=f"{name}_port",
            ) from error
    return port


def _require_writable(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir) as probe:
            probe.write(b"x")
    except OSError as error:
        raise SettingsError(
            f"The data folder {data_dir} cannot be written ({error.strerror}). Set CASCADE_DATA_DIR to one that can.",
            field="data_dir",
        ) from error
