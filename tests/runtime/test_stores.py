from __future__ import annotations

import socket
from pathlib import Path

import pytest
from redis import Redis

from services.runtime.errors import Unavailable
from services.runtime.stores import redis_command, redis_server


def test_a_redis_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        with redis_server(tmp_path / "redis") as url, Redis.from_url(url) as client:
            assert client.get("key") == expected
            client.set("key", "kept")


def test_a_redis_is_gone_after_its_block(tmp_path: Path) -> None:
    with redis_server(tmp_path) as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port)):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(Unavailable, match=f"Redis on port {port} stopped at once"), redis_server(tmp_path, port):
            pass


def test_the_command_listens_on_loopback_and_appends_to_its_folder(tmp_path: Path) -> None:
    command = redis_command(tmp_path / "made", 7000)
    assert (tmp_path / "made").is_dir()
    assert command[command.index("--bind") + 1] == "127.0.0.1"
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--dir") + 1] == str(tmp_path / "made")
