"""Vectors and their entries stay together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.llm.caches.shelf import Entry, Shelf
from tests.llm.caches.builders import said


@given(steps=st.lists(st.integers(-12, 30), max_size=60), seed=st.integers(0, 9))
def test_a_shelf_finds_what_a_plain_list_finds_nearest_first(steps: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    shelf, plain = Shelf(4), list[tuple[Entry, np.ndarray]]()
    for step in steps:
        if step < 0 and plain:
            entry, _ = plain.pop(step % len(plain))
            shelf.remove(entry)
            continue
        vector = random.normal(size=4).astype(np.float32)
        vector /= np.linalg.norm(vector)
        plain.append((Entry("shop", b"", (), said(), 0), vector))
        shelf.add(*plain[-1])
    asked = random.normal(size=4).astype(np.float32)
    asked /= np.linalg.norm(asked)
    found = list(shelf.near(asked, 0.2))
    expected = {id(entry) for entry, vector in plain if float(vector @ asked) >= 0.2}
    assert {id(entry) for entry, _ in found} == expected
    assert [similarity for _, similarity in found] == sorted((s for _, s in found), reverse=True)
