"""What each correction of the place does to the rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.spec import POSITION_COLUMN
from services.trainer.examples.examples import Examples
from services.trainer.learning.config import LearnConfig
from services.trainer.learning.rows import EXPLORED, learning_rows
from tests.trainer.learning.world import SLATE, champion, shown

CURVE = np.power(np.arange(1.0, SLATE + 1), -1.5)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    folder: Path = tmp_path_factory.mktemp("champion") / "ranker"
    return shown(champion("lambdamart", folder, queries=100), slates=60, seed=0)


def test_nothing_is_corrected_unless_asked_for(examples: Examples) -> None:
    rows = learning_rows(examples, LearnConfig(position="none"), CURVE)
    np.testing.assert_array_equal(rows.features, examples.features)
    assert set(rows.weights.tolist()) == {1.0}


def test_the_real_place_goes_into_its_column_and_only_there(examples: Examples) -> None:
    rows = learning_rows(examples, LearnConfig(position="feature"))
    place = examples.columns.index(POSITION_COLUMN)
    np.testing.assert_allclose(rows.features[:SLATE, place], np.log2(np.arange(1, SLATE + 1)), rtol=1e-6)
    assert not examples.features[:, place].any()
    others = np.arange(len(examples.columns)) != place
    np.testing.assert_array_equal(rows.features[:, others], examples.features[:, others])
    assert set(rows.weights.tolist()) == {1.0}


def test_clicks_weigh_by_how_seldom_their_place_is_looked_at_up_to_the_clip(examples: Examples) -> None:
    weights = learning_rows(examples, LearnConfig(position="weights", clip=5), CURVE).weights
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-5)
    missed = weights[examples.labels == 0]
    assert np.unique(missed).size == 1
    for place in (1, 2, 3, 10):
        clicked = weights[(examples.labels > 0) & (examples.positions == place)]
        np.testing.assert_allclose(clicked / missed[0], min(place**1.5, 5), rtol=1e-5)


def test_explored_items_weigh_by_the_chance_of_their_draw_up_to_the_clip(examples: Examples) -> None:
    slots, propensities = examples.slots.astype("U8"), examples.propensities.copy()
    slots[[0, 1]], propensities[[0, 1, 2]] = EXPLORED, (0.25, 1e-4, 0.1)
    unclicked = replace(examples, slots=slots, propensities=propensities, labels=np.zeros_like(examples.labels))
    weights = learning_rows(unclicked, LearnConfig(position="weights", clip=10), CURVE).weights
    np.testing.assert_allclose(weights[[0, 1, 2]] / weights[3], [4, 10, 1], rtol=1e-5)
