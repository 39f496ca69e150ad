"""A ranker from a dataset: fit, write both forms, seal.

    manifest = fit_ranker("lambdamart", dataset, data_dir / "drafts" / "ranker", seed=0)
    load_ranker(data_dir / "drafts" / "ranker").score(rows)

The artifact holds the served form (model.onnx), the trained form (model.txt or weights.safetensors), and in the
manifest the feature spec with its statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.torch import save_file

from models.artifact import Manifest, seal, writing
from models.dlrm import Dlrm, DlrmConfig
from models.lambdamart import LambdaMartConfig, fit_trees, to_onnx
from models.onnx_export import export_onnx
from models.ranking import MODEL_FILE, OnnxRanker, open_session
from models.rows import LabelledRows
from models.spec import FeatureSpec
from services.trainer.compute import Resources
from services.trainer.fits import dlrm_on
from services.trainer.ranking_dataset import RankingDataset

Kind = Literal["lambdamart", "dlrm"]
RankerConfig = LambdaMartConfig | DlrmConfig
Progress = Callable[[int, int], None]

TREES_FILE = "model.txt"
WEIGHTS_FILE = "weights.safetensors"


def fit_ranker(
    kind: Kind,
    dataset: RankingDataset,
    out: Path,
    seed: int = 0,
    progress: Progress | None = None,
    *,
    config: RankerConfig | None = None,
    lineage: Mapping[str, str] | None = None,
    held_out: float = 0.1,
    resources: Resources | None = None,
    checkpoint: Path | None = None,
) -> Manifest:
    """Fits one ranker and writes its artifact folder `out`, whole or not at all.

    `held_out` is the share of queries kept for early stopping; the manifest's metrics are of those. `progress(done,
    planned)` is called as the fit goes on. `lineage` adds data_snapshot, code_revision and the like.
    `resources` and `checkpoint` are those of a network's fit; trees know neither.
    """
    config = config or (LambdaMartConfig() if kind == "lambdamart" else DlrmConfig())
    train, rest = dataset.split(held_out, seed)
    with writing(out) as draft:
        if isinstance(config, LambdaMartConfig):
            _write_trees(draft, train, rest, dataset.spec, config, seed, progress)
        else:
            network = dlrm_on(
                resources or Resources(),
                train,
                rest,
                dataset.spec,
                config,
                seed,
                progress,
                checkpoint=checkpoint,
            )
            _write_network(draft, network, dataset.spec)
        ranker = OnnxRanker(open_session(draft / MODEL_FILE), kind, dataset.spec)
        stamp = {"seed": str(seed), "created_at": datetime.now(UTC).isoformat(timespec="seconds")}
        return seal(
            draft,
            Manifest(
                name="ranker",
                kind=kind,
                metrics=_list_metrics(ranker.score(rest.features), rest),
                lineage={**stamp, **(lineage or {})},
                spec=dataset.spec.to_json(),
                config=asdict(config),
            ),
        )


def _write_trees(
    draft: Path,
    train: LabelledRows,
    rest: LabelledRows,
    spec: FeatureSpec,
    config: LambdaMartConfig,
    seed: int,
    progress: Progress | None,
) -> None:
    # Indices of a vocabulary have no order that a tree could split on.
    numeric = len(spec.numeric_columns)
    booster = fit_trees(first_columns(train, numeric), first_columns(rest, numeric), config, seed, progress)
    booster.save_model(str(draft / TREES_FILE))
    onnx.save(to_onnx(booster, len(spec.columns)), draft / MODEL_FILE)


def _write_network(draft: Path, network: Dlrm, spec: FeatureSpec) -> None:
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, draft / WEIGHTS_FILE)
    export_onnx(network, len(spec.columns), draft / MODEL_FILE)


def first_columns(rows: LabelledRows, count: int) -> LabelledRows:
    """The rows with their first `count` features only."""
    return replace(rows, features=np.ascontiguousarray(rows.features[:, :count]))


def _list_metrics(scores: NDArray[np.float32], rows: LabelledRows) -> dict[str, float]:
    """HR@10 and NDCG@10 of the one best row of each held-out list; no protocol's numbers, they only watch the fit."""
    starts = np.cumsum(rows.group_sizes) - rows.group_sizes
    query = np.repeat(np.arange(rows.group_sizes.size), rows.group_sizes)
    target = np.array(
        [
            start + rows.labels[start : start + size].argmax()
            for start, size in zip(starts, rows.group_sizes, strict=True)
        ]
    )
    above = np.bincount(query, scores > scores[target][query], minlength=target.size)
    hit = above < 10
    return {
        "held_out_hr_at_10": float(hit.mean()),
        "held_out_ndcg_at_10": float((hit / np.log2(above + 2)).mean()),
    }
