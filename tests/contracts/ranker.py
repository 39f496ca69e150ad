"""What every kind of ranker does once it is fitted: loads, orders, and serves what was trained."""

from __future__ import annotations

import tempfile
from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from models.artifact import Manifest, read_manifest
from models.networks import build, shape_from_json
from models.ranking import load_ranker
from models.spec import RETRIEVAL_COLUMNS
from services.trainer.kinds import Kind
from services.trainer.ranking import WEIGHTS_FILE, RankerConfig, fit_ranker
from services.trainer.ranking_dataset import RankingDataset
from tests.models.small_catalog import catalog, separable_rows, spec


@dataclass(frozen=True)
class Fitted:
    """A ranker that was fitted once for a whole suite."""

    folder: Path
    dataset: RankingDataset
    manifest: Manifest
    told: list[tuple[int, int]]


def separable_dataset() -> RankingDataset:
    """What came next has the highest co_visitation; it is liked, loved and left soon by three other columns."""
    items = catalog()
    rows = separable_rows(spec(items), items)
    signs = rows.features[:, [RETRIEVAL_COLUMNS.index(name) for name in ("two_tower", "popularity", "ease")]] > 0.5
    reactions = np.where(rows.labels[:, None] > 0, signs, np.nan).astype(np.float32)
    labelled = replace(rows, reactions=reactions)
    return RankingDataset(spec(items).with_normalizer(rows.features), labelled)


class RankerContract(ABC):
    """A subclass names the kind and a configuration that takes a second to fit."""

    kind: ClassVar[Kind]
    config: ClassVar[RankerConfig]

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls) -> Iterator[Fitted]:
        dataset, told = separable_dataset(), list[tuple[int, int]]()
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "ranker"
            manifest = fit_ranker(
                cls.kind,
                dataset,
                folder,
                seed=1,
                progress=lambda done, planned: told.append((done, planned)),
                config=cls.config,
                lineage={"data_snapshot": "abc"},
            )
            yield Fitted(folder, dataset, manifest, told)

    def trained(self, folder: Path, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) scores of (N, F) rows by the trained form, of a network by its first head."""
        sealed, served = read_manifest(folder), load_ranker(folder)
        network = build(served.spec, shape_from_json(self.kind, sealed.config.get("shape", sealed.config))).eval()
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        with torch.inference_mode():
            scores: NDArray[np.float32] = network(torch.from_numpy(features))[:, 0].numpy()
        return scores

    def test_it_loads_by_its_kind_and_knows_its_rows(self, fitted: Fitted) -> None:
        ranker = load_ranker(fitted.folder)
        assert (ranker.kind, ranker.spec.columns) == (self.kind, fitted.dataset.spec.columns)
        assert read_manifest(fitted.folder).files == fitted.manifest.files
        assert (fitted.manifest.lineage["seed"], fitted.manifest.lineage["data_snapshot"]) == ("1", "abc")
        assert ranker.score(np.empty((0, len(ranker.spec.columns)), np.float32)).shape == (0,)

    def test_the_relevant_come_first(self, fitted: Fitted) -> None:
        rows = fitted.dataset.rows
        first = load_ranker(fitted.folder).score(rows.features).reshape(-1, 12).argmax(axis=1)
        assert (first == rows.labels.reshape(-1, 12).argmax(axis=1)).mean() > 0.8
        assert fitted.manifest.metrics["held_out_hr_at_10"] > 0.9

    def test_the_served_form_scores_as_the_trained_one_whatever_is_unknown(self, fitted: Fitted) -> None:
        rows = fitted.dataset.rows.features[:300].copy()
        rows[np.random.default_rng(0).random(rows.shape) < 0.2] = np.nan
        scores = load_ranker(fitted.folder).score(rows)
        assert np.isfinite(scores).all()
        np.testing.assert_allclose(scores, self.trained(fitted.folder, rows), atol=1e-5)

    def test_a_row_scores_the_same_in_any_company(self, fitted: Fitted) -> None:
        ranker, rows = load_ranker(fitted.folder), fitted.dataset.rows.features[:60]
        alone = np.concatenate([ranker.score(row[None]) for row in rows])
        np.testing.assert_allclose(ranker.score(rows[::-1])[::-1], alone, atol=1e-5)

    def test_progress_is_told(self, fitted: Fitted) -> None:
        assert all(0 < done <= planned for done, planned in fitted.told)
        assert fitted.told
