"""Where the API keys come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.gateway.keys import KEYS_FILE, ApiKeys, read_or_create_keys
from services.runtime.errors import SettingsError


def test_first_start_makes_keys_only_their_owner_can_read(tmp_path: Path) -> None:
    keys = read_or_create_keys(tmp_path / "data", {})
    path = tmp_path / "data" / KEYS_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(keys.read) >= 32
    assert keys.read != keys.write
    assert read_or_create_keys(tmp_path / "data", {}) == keys
    assert [entry.name for entry in path.parent.iterdir()] == [KEYS_FILE]


def test_environment_wins_and_is_not_written_down(tmp_path: Path) -> None:
    keys = read_or_create_keys(tmp_path, {"CASCADE_READ_KEY": "r", "CASCADE_WRITE_KEY": "w"})
    assert (keys.read, keys.write) == ("r", "w")
    assert not (tmp_path / KEYS_FILE).exists()
    half = read_or_create_keys(tmp_path, {"CASCADE_READ_KEY": "r"})
    assert half.read == "r"
    assert (tmp_path / KEYS_FILE).read_text() == f"CASCADE_WRITE_KEY={half.write}\n"


def test_unusable_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="CASCADE_READ_KEY"):
        read_or_create_keys(tmp_path / "file", {})


def test_keys_are_not_shown(tmp_path: Path) -> None:
    assert "secret" not in repr(ApiKeys("secret-1", "secret-2"))
