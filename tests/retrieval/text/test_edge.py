from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.retrieval.text import TextStore, open_text_store
from services.runtime.errors import SettingsError
from tests.retrieval.text.store_contract import DIMENSIONS, ENTRIES, TextStoreContract


class TestEdgeTextStore(TextStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[TextStore]:
        store = open_text_store(f"edge://{tmp_path / 'text'}", DIMENSIONS)
        yield store
        store.close()


def test_a_store_begins_empty_whatever_was_left_in_its_folder(tmp_path: Path) -> None:
    url = f"edge://{tmp_path / 'text'}"
    first = open_text_store(url, DIMENSIONS)
    first.upsert(ENTRIES)
    first.close()
    second = open_text_store(url, DIMENSIONS)
    assert second.count() == 0
    second.close()


def test_a_folder_in_use_is_refused_with_a_sentence(tmp_path: Path) -> None:
    url = f"edge://{tmp_path / 'text'}"
    store = open_text_store(url, DIMENSIONS)
    with pytest.raises(SettingsError, match="in use by another process"):
        open_text_store(url, DIMENSIONS)
    store.close()
