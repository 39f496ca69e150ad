"""The log with its features and labels, cut by time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.normalizer import Normalizer
from models.rlfm import RlfmConfig
from models.rows import HeadRows, LabelledRows
from services.trainer.history import build_history
from services.trainer.p2.activity import SERVICE, Known, known_activity
from services.trainer.p2.features import Progress, RatingColumns, rating_features
from services.trainer.p2.heads import HEADS, head_labels
from services.trainer.p2.log import Floats, RatingLog

FIT_SHARE, TUNE_SHARE = 0.8, 0.9
_BEGIN_SHARE = 0.2
"""Events before it only make features: the models behind those know too little yet to be what they will be later."""
_SLICES = 10
"""Parts of the log; the models behind features are fitted anew before each but the first."""


@dataclass(frozen=True, slots=True)
class P2Data:
    """Events [begin, fit_end) are for fitting, [fit_end, tune_end) stop the fit and calibrate, the rest is the test."""

    log: RatingLog
    features: NDArray[np.float32]
    """(E, F)"""
    columns: RatingColumns
    labels: Floats
    """(E, H) by HEADS, NaN for the unknown."""
    begin: int
    fit_end: int
    tune_end: int

    @classmethod
    def of(cls, log: RatingLog, known: Known, latent: RlfmConfig, seed: int, progress: Progress) -> P2Data:
        """Splits by time, never within a second, and computes the features."""
        begin, fit_end, tune_end = (log.second_start(share) for share in (_BEGIN_SHARE, FIT_SHARE, TUNE_SHARE))
        cuts = sorted({log.second_start(number / _SLICES) for number in range(1, _SLICES)} - {0})
        features, columns = rating_features(log, known, cuts, latent, seed, progress)
        numeric = features[begin:fit_end, : len(columns.numeric_columns)]
        columns = replace(columns, normalizer=Normalizer.fit(numeric))
        labels = head_labels(log, (fit_end, tune_end, len(log)))
        return cls(log, features, columns, labels, begin, fit_end, tune_end)

    def without(self, families: Collection[str]) -> P2Data:
        """The same without the columns of some families of features."""
        kept = {name: columns for name, columns in self.columns.families.items() if name not in families}
        columns = RatingColumns(kept, self.columns.cardinalities)
        places = [self.columns.columns.index(name) for name in columns.columns]
        normalizer = self.columns.normalizer
        if normalizer is not None:
            numeric = places[: len(columns.numeric_columns)]
            parts = (normalizer.scale, normalizer.mean, normalizer.std)
            columns = replace(columns, normalizer=Normalizer(*(part[numeric] for part in parts)))
        return replace(self, features=np.ascontiguousarray(self.features[:, places]), columns=columns)

    def like_rows(self, begin: int, end: int, width: int | None = None) -> LabelledRows:
        """Events [begin, end) with like labels, each its own query; only the first `width` columns if given."""
        count = end - begin
        return LabelledRows(
            np.ascontiguousarray(self.features[begin:end, :width]),
            self.labels[begin:end, HEADS.index("like")].copy(),
            np.ones(count, np.float32),
            np.ones(count, np.int64),
        )

    def head_rows(self, begin: int, end: int, heads: Collection[str]) -> HeadRows:
        """Events [begin, end) with the labels of some heads."""
        places = [HEADS.index(head) for head in heads]
        return HeadRows(
            self.features[begin:end], self.labels[begin:end, places], np.ones(end - begin, np.float32)
        )  # fmt: skip


def p2_data(
    data_dir: Path, latent: RlfmConfig | None = None, seed: int = 0, progress: Progress | None = None
) -> P2Data:
    """The lake's ratings joined with the offline views, which are built first where one is missing."""
    # Feast takes seconds to import; commands that make no dataset need not wait for it.
    from services.features.definitions import offline_folder, offline_store

    lake = data_dir / "lake"
    tables = [pl.read_parquet(lake / name) for name in ("users.parquet", "items.parquet", "events/**/*.parquet")]
    log = RatingLog.of(*tables)
    store, offline = offline_store(data_dir), offline_folder(data_dir)
    views = [view.name for view in store.get_feature_service(SERVICE).feature_view_projections]
    if not all((offline / f"{view}.parquet").exists() for view in views):
        build_history(data_dir)
    known = known_activity(store, log)
    return P2Data.of(log, known, latent or RlfmConfig(), seed, progress or (lambda _done, _planned: None))
