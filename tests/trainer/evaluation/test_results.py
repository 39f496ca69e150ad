"""What is kept of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.runtime.errors import NotFound, SettingsError
from services.trainer.evaluation.results import Folder
from tests.trainer.evaluation.made_up import ABOUT, result


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    ranks = np.array([1.0, np.inf, 2.5])
    folder.keep(result("ease", ranks, seed=2, sources={"two_tower": np.array([3.0, np.inf, 1.0])}))
    assert folder.has("ease", 2)
    assert not folder.has("ease", 1)
    (found,) = folder.results()
    assert (found.model, found.seed, found.fit_seconds, found.revision) == ("ease", 2, 9.0, "abc")
    assert found.ranks.tolist() == ranks.tolist()
    assert found.lists.shape == (3, 10)
    assert found.sources["two_tower"].tolist() == [3.0, np.inf, 1.0]


def test_what_a_kill_left_half_written_is_not_a_result(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(result("ease", np.ones(3)))
    (file,) = (tmp_path / "p1").iterdir()
    (tmp_path / "p1" / f".{file.name}.draft").write_bytes(file.read_bytes()[:50])
    assert len(folder.results()) == 1


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep(result("ease", np.ones(3)))
    (file,) = (tmp_path / "p1").iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(SettingsError, match="ease.0.npz is damaged"):
        folder.results()


def test_an_evaluation_goes_on_only_with_the_same_data_and_size(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.begin(ABOUT) == ABOUT
    later = replace(ABOUT, begun="2027-01-01T00:00:00+00:00", command="python -m evaluate --seeds 5")
    assert folder.begin(later) == ABOUT
    for other in (replace(ABOUT, data_snapshot="1" * 64), replace(ABOUT, quick=True), replace(ABOUT, first_seed=3)):
        with pytest.raises(SettingsError, match="Name another folder"):
            folder.begin(other)


def test_a_report_of_nothing_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="services.trainer evaluate"):
        Folder(tmp_path).about()


def test_p2_is_kept_by_seed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.keep_rated(1, {"scorers": {}})
    assert folder.has_rated(1)
    assert folder.rated() == {1: {"scorers": {}}}
    (tmp_path / "p2" / "1.json").write_text("{")
    with pytest.raises(SettingsError, match="1.json is damaged"):
        folder.rated()
