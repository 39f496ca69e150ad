"""The retrieval models of one moment, fitted on the same events and written side by side.

fit_retrieval(interactions.leave_last(1), folder, lineage=lineage, seed=0, warm_start=earlier / "two_tower")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.artifact import Manifest, read_manifest, seal, writing
from models.covisitation import CoVisitation, CoVisitationConfig
from models.ease import Ease, EaseConfig
from models.item_content import ItemContent
from models.popularity import Popularity, PopularityConfig, segment_name
from models.tower_inputs import PROFILE_FIELDS, TowerInputs
from models.two_tower import TwoTower, TwoTowerConfig
from services.retrieval.config import MANIFEST_KEY
from services.trainer.compute import Resources
from services.trainer.data.interactions import Interactions
from services.trainer.fits import tower_on
from services.trainer.tower_artifact import take_over, weights_hash, write_tower
from services.trainer.tower_fit import Progress, TowerData, TowerFitConfig
from services.trainer.tower_windows import Sequences


@dataclass(frozen=True, slots=True)
class RetrievalFitConfig:
    """Hyper-parameters of all of them."""

    towers: TwoTowerConfig = field(default_factory=TwoTowerConfig)
    """Shape of the two towers."""
    fit: TowerFitConfig = field(default_factory=TowerFitConfig)
    """How the towers are fitted."""
    co_visitation: CoVisitationConfig = field(default_factory=CoVisitationConfig)
    """How pairs are counted and read."""
    ease: EaseConfig = field(default_factory=EaseConfig)
    """Ridge and recency."""
    popularity: PopularityConfig = field(default_factory=PopularityConfig)
    """How events decay and segments are smoothed."""


def fit_retrieval(
    interactions: Interactions,
    out: Path,
    *,
    lineage: dict[str, str],
    config: RetrievalFitConfig | None = None,
    seed: int = 0,
    warm_start: Path | None = None,
    progress: Progress | None = None,
    resources: Resources | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Fits on every event of `interactions` and writes out/two_tower, out/co_visitation, out/ease and out/popularity.

    The caller has left out what must not be seen. `warm_start` is the artifact folder of an earlier two_tower, whose
    weights are the start of this one. `progress(done, planned)` counts steps. `checkpoint` is where the fit of the
    towers keeps its state, and finds it again after a kill; the caller removes it when the result is safe.
    """
    if not interactions.item_ids.size:
        raise ValueError("There are no events to fit retrieval models on.")
    config = config or RetrievalFitConfig()
    lineage = {**lineage, "seed": str(seed)}
    _write_co_visitation(interactions, out / "co_visitation", config.co_visitation, lineage)
    with writing(out / "ease") as draft:
        Ease.fit(interactions.sequences, config.ease).save(draft)
        seal(draft, Manifest("ease", "ease", lineage=lineage, config=asdict(config.ease)))
    _write_popularity(interactions, out / "popularity", config.popularity, lineage)
    data = tower_data(interactions)

    def begin(towers: TwoTower) -> None:
        if warm_start is not None:
            take_over(towers, data.inputs, data.content, warm_start)

    towers, metrics = tower_on(
        resources or Resources(),
        data,
        config.towers,
        config.fit,
        seed,
        begin if warm_start else None,
        progress,
        checkpoint,
    )
    manifest = Manifest(
        "two_tower",
        "two_tower",
        metrics=metrics,
        lineage=lineage if warm_start is None else {**lineage, "parents": f"two_tower {weights_hash(warm_start)}"},
        config={"towers": asdict(config.towers), "fit": asdict(config.fit), **_shares(warm_start)},
    )
    write_tower(towers, data.inputs, data.content, out / "two_tower", manifest)


def _shares(earlier: Path | None) -> dict[str, Any]:
    """How the sources share the list, as learned with an earlier tower."""
    learned = None if earlier is None else read_manifest(earlier).config.get(MANIFEST_KEY)
    return {} if learned is None else {MANIFEST_KEY: learned}


def tower_data(interactions: Interactions) -> TowerData:
    """The whole catalog, every user and every value of a profile, as indices."""
    items = interactions.items.sort("item_id")
    profiles = interactions.profiles
    values = {name: {profile[name] for profile in profiles if name in profile} for name in PROFILE_FIELDS}
    inputs = TowerInputs(
        item_ids=items["item_id"].to_numpy(),
        user_ids=interactions.users["user_id"].to_numpy(),
        profiles={name: tuple(sorted(known)) for name, known in values.items()},
    )
    content = ItemContent.of(
        items["title"].fill_null("").to_list(),
        items["year"].to_list(),
        _lists(items["genres"].to_list()),
        _lists(items["creators"].to_list()),
    )
    rows = inputs.item_rows(interactions.item_ids)
    known = rows >= 0
    offsets = np.concatenate([[0], np.cumsum(known)])[interactions.offsets]
    # Events of items that the catalog no longer has are left out.
    sequences = Sequences(offsets, rows[known], interactions.times_ms[known], padding=inputs.item_ids.size)
    return TowerData(inputs, content, sequences, np.array([inputs.profile_rows(p) for p in profiles], np.int64))


def _lists(column: Sequence[Sequence[str] | None]) -> list[Sequence[str]]:
    return [() if value is None else value for value in column]


def _write_co_visitation(
    interactions: Interactions, folder: Path, config: CoVisitationConfig, lineage: dict[str, str]
) -> None:
    with writing(folder) as draft:
        CoVisitation.fit(interactions.sequences, config).save(draft)
        seal(draft, Manifest("co_visitation", "co_visitation", lineage=lineage, config=asdict(config)))


def _write_popularity(
    interactions: Interactions, folder: Path, config: PopularityConfig, lineage: dict[str, str]
) -> None:
    names = [segment_name(profile) for profile in interactions.profiles]
    segments = np.repeat(np.array(names, np.str_), np.diff(interactions.offsets)).tolist()
    with writing(folder) as draft:
        Popularity.fit(
            interactions.items["item_id"].to_numpy(), interactions.item_ids, interactions.times_ms, segments, config
        ).save(draft)
        seal(draft, Manifest("popularity", "popularity", lineage=lineage, config=asdict(config)))
