from __future__ import annotations

from pathlib import Path

import numpy as np

from models.metrics import hit_rate
from models.spec import POSITION_COLUMN, FeatureSpec
from models.two_tower import TwoTowerConfig
from services.trainer.ablation import GROUPS, WHOLE, ablate, ablation_table, without, worth
from services.trainer.data.imports import SYNTHETIC, import_data
from services.trainer.data.synthetic import SyntheticConfig
from services.trainer.pipeline import Plan
from services.trainer.progress import Steps
from services.trainer.retrieval_models import RetrievalFitConfig
from services.trainer.tower_fit import TowerFitConfig
from tests.contracts.ranker import separable_dataset


def test_every_numeric_column_belongs_to_a_group() -> None:
    named = {column for columns in GROUPS.values() for column in columns}
    assert named == set(FeatureSpec().numeric_columns) - {POSITION_COLUMN}


def test_a_group_that_is_left_out_says_nothing() -> None:
    dataset = separable_dataset()
    blind = without(dataset, ["ease", "near_last"])
    places = [dataset.spec.columns.index(name) for name in ("ease", "near_last")]
    assert np.isnan(blind.rows.features[:, places]).all()
    others = np.delete(np.arange(len(dataset.spec.columns)), places)
    np.testing.assert_array_equal(blind.rows.features[:, others], dataset.rows.features[:, others])
    assert not np.isnan(dataset.rows.features[:, places]).any()


def test_losses_are_paired_by_user_and_the_dearest_comes_first() -> None:
    found = {WHOLE: np.array([1.0, 2.0, 50.0, 3.0]), "a": np.array([1.0, 2.0, 50.0, 3.0]), "b": np.full(4, np.inf)}
    losses = worth(found)
    assert losses["a"]["hr@10"].mean == 0
    assert losses["b"]["hr@10"].mean == 0.75
    assert next(iter(ablation_table(found).columns[0].cells)) == "b"


def test_the_funnel_is_judged_without_each_group(tmp_path: Path) -> None:
    import_data(SYNTHETIC, tmp_path, SyntheticConfig(users=60, items=80, events=1500))
    towers = RetrievalFitConfig(TwoTowerConfig(width=8, blocks=1), TowerFitConfig(epochs=1, threads=1))
    found = ablate(Plan(tmp_path, retrieval=towers, test_users=20), Steps())
    assert set(found) == {WHOLE, *GROUPS}
    assert {ranks.size for ranks in found.values()} == {20}
    assert all(0 <= hit_rate(ranks, 10).mean() <= 1 for ranks in found.values())
    assert any(not np.array_equal(ranks, found[WHOLE]) for ranks in found.values())
