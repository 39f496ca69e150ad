"""The process manager behind `python -m services`, with programs that start in milliseconds."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from ephemeral_port_reserve import reserve

from services.local.layout import layout
from services.local.output import PrefixedOutput
from services.local.settings import LocalSettings
from services.local.stack import LocalStack, running_stack
from services.runtime.errors import NotFound, SettingsError, Unavailable
from tests.integration.small_stack import LISTEN, SERVE

WAIT_SECONDS = 20.0
IP_LOCAL_PORT_RANGE = 51
"""Socket option of Linux 6.3, ip(7): the ports the kernel may choose from."""


class Small:
    """A small stack on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._output = (folder / "output").open("wb")
        self.stack = LocalStack(
            folder, {"CASCADE_STOP_SECONDS": "5"}, self._output, (sys.executable, "-m", "tests.integration.small_stack")
        )

    def start(self, *waves: dict[str, str]) -> None:
        """Starts waves of name -> code and waits until they are ready."""
        programs = [[{"name": name, "code": code, "port": reserve()} for name, code in wave.items()] for wave in waves]
        (self.folder / "small.json").write_text(json.dumps(programs))
        self.stack.start()
        self.stack.wait_ready(WAIT_SECONDS)

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def close(self) -> None:
        self.stack.stop()
        self._output.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    made = Small(tmp_path)
    yield made
    made.close()


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"Waited in vain: {what}"
        time.sleep(0.01)


def test_a_stop_leaves_no_process_and_no_traceback(small: Small) -> None:
    small.start({"store": SERVE}, {"one": SERVE, "two": SERVE})
    pids = small.stack.pids()
    assert set(pids) == {"store", "one", "two"}
    assert small.stack.stop() == 0
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert "Traceback" not in small.output
    with pytest.raises(NotFound, match="No stack runs"):
        running_stack(small.folder)


def test_ctrl_c_is_a_clean_stop(small: Small) -> None:
    small.start({"one": SERVE})
    manager, pids = running_stack(small.folder).manager, small.stack.pids()
    os.kill(manager, signal.SIGINT)
    assert small.stack.stop() == 0
    assert not psutil.pid_exists(pids["one"])
    assert "Traceback" not in small.output


def test_a_killed_process_comes_back_and_its_neighbour_never_notices(small: Small) -> None:
    small.start({"one": SERVE, "two": SERVE})
    before = small.stack.pids()
    os.kill(before["one"], signal.SIGKILL)
    eventually(lambda: small.stack.pids().get("one", before["one"]) != before["one"], "a new process")
    assert small.stack.pids()["two"] == before["two"]
    assert "ended with SIGKILL; starting again in 0.2 s" in small.output


def test_a_process_that_dies_again_and_again_is_restarted_with_growing_pauses(small: Small) -> None:
    dies_the_second_time = (
        "import pathlib, sys; mark = pathlib.Path(sys.argv[0] + 'mark')\n"
        f"mark = pathlib.Path({str(small.folder / 'mark')!r})\n"
        "if mark.exists(): sys.exit(1)\n"
        "mark.touch()\n" + SERVE
    )
    small.start({"one": dies_the_second_time})
    os.kill(small.stack.pids()["one"], signal.SIGKILL)

    def pauses() -> list[str]:
        return re.findall(r"starting again in ([\d.]+) s", small.output)

    eventually(lambda: len(pauses()) >= 3, "three restarts")
    assert pauses()[:3] == ["0.2", "0.4", "0.8"]


def test_when_the_manager_is_killed_nobody_stays_behind(small: Small) -> None:
    small.start({"one": SERVE, "two": SERVE})
    pids = small.stack.pids()
    os.kill(running_stack(small.folder).manager, signal.SIGKILL)
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids.values()), "the end of both")


def test_a_wave_starts_when_the_one_before_is_ready(small: Small) -> None:
    mark = str(small.folder / "mark")
    slow = f"import time; time.sleep(0.3); open({mark!r}, 'w'); " + SERVE
    eager = f"import os, sys; os.path.exists({mark!r}) or sys.exit('too early'); " + SERVE
    small.start({"slow": slow}, {"eager": eager})
    assert "too early" not in small.output


def test_a_process_that_cannot_start_ends_the_whole_start_with_its_sentence(small: Small) -> None:
    with pytest.raises(Unavailable, match="status 2"):
        small.start({"store": SERVE}, {"one": "import sys; print('There is no model yet.'); sys.exit(2)"})
    assert "one      | There is no model yet." in small.output
    assert "one cannot start" in small.output
    assert "Traceback" not in small.output


def test_a_stack_that_is_not_ready_in_time_says_so(tmp_path: Path) -> None:
    code = LISTEN.replace("socket.create_server", "print") + "time.sleep(600)"
    (tmp_path / "small.json").write_text(json.dumps([[{"name": "one", "port": reserve(), "code": code}]]))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.integration.small_stack"],
        env={**os.environ, "CASCADE_DATA_DIR": str(tmp_path), "CASCADE_START_SECONDS": "0.5"},
        capture_output=True, text=True, timeout=WAIT_SECONDS,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "not ready within 0.5 s" in ended.stderr


def test_a_port_in_use_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "services"],
            env={**os.environ, "CASCADE_DATA_DIR": str(tmp_path), "CASCADE_GATEWAY_PORT": str(port)},
            capture_output=True, text=True, timeout=WAIT_SECONDS,
        )  # fmt: skip
    assert ended.returncode == 2
    assert re.fullmatch(r"cascade: Port .* cannot be used .* set CASCADE_\w+_PORT\.\n", ended.stderr)


def everything_free(tmp_path: Path, **fields: str) -> LocalSettings:
    names = (
        "redis",
        "kafka",
        "features",
        "retrieval",
        "ranker",
        "reranker",
        "ingest",
        "trainer",
        "llm",
        "llm_rest",
        "gateway",
    )
    return LocalSettings(data_dir=tmp_path, **{f"{name}_port": 0 for name in names}, **fields)  # type: ignore[arg-type]  # all are ports


def test_the_layout_tells_every_service_where_its_peers_are(tmp_path: Path) -> None:
    programs = {program.name: program for wave in layout(everything_free(tmp_path)) for program in wave}
    assert set(programs) == {
        "redis", "kafka", "features", "ingest", "retrieval", "ranker", "reranker", "gateway", "trainer", "llm"
    }  # fmt: skip
    told = programs["gateway"].environment
    assert told["CASCADE_GATEWAY_RANKER_URL"] == programs["ranker"].url
    assert told["CASCADE_KAFKA_URL"] == programs["kafka"].url
    assert told["OMP_NUM_THREADS"] == "1"
    assert programs["ranker"].environment["CASCADE_RANKER_PORT"] == programs["ranker"].url.rsplit(":", 1)[1]


def test_stores_that_run_elsewhere_are_not_started(tmp_path: Path) -> None:
    settings = everything_free(tmp_path, redis_url="redis://db:6379/1", kafka_url="kafka://log:9092")
    waves = layout(settings)
    assert [program.name for program in waves[0]] == []
    assert waves[1][0].environment["CASCADE_REDIS_URL"] == "redis://db:6379/1"


def test_a_taken_port_names_its_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        settings = everything_free(tmp_path).model_copy(update={"ranker_port": holder.getsockname()[1]})
        with pytest.raises(SettingsError, match="ranker.*CASCADE_RANKER_PORT"):
            layout(settings)


def test_the_ports_of_a_stack_are_given_to_nobody_else_while_it_starts(tmp_path: Path) -> None:
    program = next(program for wave in layout(everything_free(tmp_path)) for program in wave)
    port = int(program.url.rpartition(":")[2].partition("/")[0])
    with socket.socket() as listener, socket.socket() as outgoing, socket.socket() as chosen:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        try:
            for other in (outgoing, chosen):
                other.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", port << 16 | port))
        except OSError:
            pytest.skip("This kernel chooses from all ports: whom it would give this one cannot be asked.")
        with pytest.raises(OSError, match="Cannot assign requested address"):
            outgoing.connect(listener.getsockname())
        with pytest.raises(OSError, match="Address already in use"):
            chosen.bind(("127.0.0.1", 0))


def test_output_is_printed_in_whole_lines_behind_the_name() -> None:
    out = io.StringIO()
    output = PrefixedOutput("ranker", 0, out)
    output({"data": b"first\nsec"})
    assert out.getvalue() == "ranker   | first\n"
    output({"data": b"ond\nrest"})
    output.close()
    assert out.getvalue() == "ranker   | first\nranker   | second\nranker   | rest\n"


def test_a_folder_without_models_is_refused_with_what_to_do(tmp_path: Path) -> None:
    names = ("REDIS", "KAFKA", "FEATURES", "RETRIEVAL", "RANKER", "RERANKER", "INGEST", "GATEWAY")
    ports = {f"CASCADE_{name}_PORT": "0" for name in names}
    done = subprocess.run(
        [sys.executable, "-m", "services"],
        env={**os.environ, **ports, "CASCADE_DATA_DIR": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == f"cascade: Nothing is trained in {tmp_path} yet. Run: make demo"
