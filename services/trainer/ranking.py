"""A ranker from a dataset: fit, write both forms, seal.

    manifest = fit_ranker("lambdamart", dataset, data_dir / "drafts" / "ranker", seed=0)
    load_ranker(data_dir / "drafts" / "ranker").score(rows)

The artifact holds the served form (model.onnx), the trained form (model.txt or weights.safetensors), and in the
manifest the feature spec with its statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.torch import save_file

from models.artifact import Manifest, seal, writing
from models.dcn_v2 import DcnV2Config
from models.dlrm import DlrmConfig
from models.heads import CLICK, Heads
from models.lambdamart import LambdaMartConfig, fit_trees, to_onnx
from models.list_fit import ListFitConfig
from models.metrics import hit_rate, ndcg
from models.mmoe import MmoeConfig
from models.networks import Network, Shape, export
from models.ranking import MODEL_FILE, OnnxRanker, open_session
from models.rows import REACTIONS, LabelledRows
from models.spec import FeatureSpec
from services.trainer.compute import Resources
from services.trainer.fits import lists_on
from services.trainer.kinds import Kind
from services.trainer.ranking_dataset import RankingDataset
from services.trainer.serving_form import settle_int8, target_ranks

Progress = Callable[[int, int], None]

TREES_FILE = "model.txt"
WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A network that is fitted on lists."""

    shape: DcnV2Config | MmoeConfig
    fit: ListFitConfig = field(default_factory=ListFitConfig)


RankerConfig = LambdaMartConfig | DlrmConfig | NetworkConfig

DEFAULTS: Mapping[Kind, RankerConfig] = {
    "lambdamart": LambdaMartConfig(),
    "dlrm": DlrmConfig(),
    "dcn_v2": NetworkConfig(DcnV2Config()),
    "mmoe": NetworkConfig(MmoeConfig((CLICK, *REACTIONS), (1.0, *(0.0 for _ in REACTIONS)))),
}
"""MMoE orders by its click alone until somebody weighs the others: what comes next is what protocol P1 asks."""


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
    int8: bool = False,
) -> Manifest:
    """Fits one ranker and writes its artifact folder `out`, whole or not at all.

    `held_out` is the share of queries kept for early stopping; the manifest's metrics are of those. `progress(done,
    planned)` is called as the fit goes on. `lineage` adds data_snapshot, code_revision and the like.
    `resources` and `checkpoint` are those of a network's fit; trees know neither. A head whose label is known of no
    row is left out. `int8` lets a network serve in eight bits where held-out lists are no worse by it. Raises
    ValueError for a configuration of another kind.
    """
    config = config or DEFAULTS[kind]
    train, rest = dataset.split(held_out, seed)
    with writing(out) as draft:
        if isinstance(config, LambdaMartConfig):
            described = _write_trees(draft, train, rest, dataset.spec, config, seed, progress)
        else:
            shape, fit = _network_of(config, train)
            network = lists_on(
                resources or Resources(),
                train,
                rest,
                dataset.spec,
                shape,
                fit,
                seed,
                progress,
                checkpoint=checkpoint,
            )
            write_network(draft, network, shape, dataset.spec)
            described = asdict(shape if isinstance(shape, DlrmConfig) else NetworkConfig(shape, fit))
        heads = Heads.of(described)
        ranker = OnnxRanker(open_session(draft / MODEL_FILE), kind, dataset.spec, heads)
        smaller = int8 and not isinstance(config, LambdaMartConfig)
        precision = settle_int8(draft, ranker, dataset.spec, heads, rest) if smaller else {}
        stamp = {"seed": str(seed), "created_at": datetime.now(UTC).isoformat(timespec="seconds")}
        return seal(
            draft,
            Manifest(
                name="ranker",
                kind=kind,
                metrics={**_list_metrics(ranker.score(rest.features), rest), **precision},
                lineage={**stamp, **(lineage or {})},
                spec=dataset.spec.to_json(),
                config=described,
            ),
        )


def write_network(draft: Path, network: Network, shape: Shape, spec: FeatureSpec) -> None:
    """Both forms of a network: its weights, and what is served."""
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, draft / WEIGHTS_FILE)
    export(network, shape, len(spec.columns), draft / MODEL_FILE)


def _network_of(config: DlrmConfig | NetworkConfig, rows: LabelledRows) -> tuple[Shape, ListFitConfig]:
    if isinstance(config, DlrmConfig):
        return config, config
    shape = config.shape
    if isinstance(shape, MmoeConfig):
        shape = with_known_heads(shape, rows)
    return shape, config.fit


def with_known_heads(shape: MmoeConfig, rows: LabelledRows) -> MmoeConfig:
    """The shape without the heads that have nothing to learn from: purchases, say, are rated by nobody. Raises
    ValueError for heads that rows have no labels for."""
    if shape.heads[0] != CLICK or not set(shape.heads[1:]) <= set(REACTIONS):
        raise ValueError(f"The heads of a ranker are {CLICK}, then some of {', '.join(REACTIONS)}; not {shape.heads}.")
    reactions = np.empty((0, len(REACTIONS))) if rows.reactions is None else rows.reactions
    learnt = {CLICK, *compress(REACTIONS, np.count_nonzero(np.isfinite(reactions), axis=0))}
    kept = [place for place, head in enumerate(shape.heads) if head in learnt]
    return replace(
        shape,
        heads=tuple(shape.heads[place] for place in kept),
        value=tuple(shape.value[place] for place in kept),
    )


def _write_trees(
    draft: Path,
    train: LabelledRows,
    rest: LabelledRows,
    spec: FeatureSpec,
    config: LambdaMartConfig,
    seed: int,
    progress: Progress | None,
) -> dict[str, Any]:
    # Indices of a vocabulary have no order that a tree could split on.
    numeric = len(spec.numeric_columns)
    booster = fit_trees(first_columns(train, numeric), first_columns(rest, numeric), config, seed, progress)
    booster.save_model(str(draft / TREES_FILE))
    onnx.save(to_onnx(booster, len(spec.columns)), draft / MODEL_FILE)
    return asdict(config)


def first_columns(rows: LabelledRows, count: int) -> LabelledRows:
    """The rows with their first `count` features only."""
    return replace(rows, features=np.ascontiguousarray(rows.features[:, :count]))


def _list_metrics(scores: NDArray[np.float32], rows: LabelledRows) -> dict[str, float]:
    """HR@10 and NDCG@10 of the one best row of each held-out list; no protocol's numbers, they only watch the fit."""
    ranks = target_ranks(scores, rows)
    return {
        "held_out_hr_at_10": float(hit_rate(ranks, 10).mean()),
        "held_out_ndcg_at_10": float(ndcg(ranks, 10).mean()),
    }
