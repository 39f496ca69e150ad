"""python -m loadtests.slate_cost: what each rule of a slate costs in NDCG, and what it buys.

The champion's ranked lists before users' last events (protocol P1), put through the re-ranker's own rules: each rule
alone at several strengths, then all of them as they are by default. A table, a picture and the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from loadtests.champion_slates import Champions
from models.items import ItemTable
from models.metrics import hit_rate, ndcg, paired_interval
from services.reranker.config import CapConfig, SlateConfig
from services.reranker.pool import Pool
from services.reranker.quality import diversity
from services.reranker.rules.freshness import is_fresh
from services.reranker.slate import compose
from services.runtime.errors import CascadeError
from services.runtime.registry import Registry
from services.trainer.progress import Steps

SHOWN = 10
SHORTLIST = 100
"""Of the gateway, by default."""
RULES = {
    "mmr": "diversity by MMR, trade-off",
    "dpp": "diversity by DPP, trade-off",
    "genre_cap": "genre cap, share of the slate",
    "freshness": "freshness, items wanted",
    "exploration": "exploration, share of slates",
    "default": "all rules as they are",
}
"""What is varied, and how its strength reads."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One moment: the shortlist in the ranker's order and what came next."""

    ids: NDArray[np.uint64]
    scores: NDArray[np.float32]
    target: int
    at_days: float


@dataclass(frozen=True, slots=True)
class Point:
    """One rule at one strength, over all moments."""

    rule: str
    strength: float
    hr: float
    ndcg: float
    ndcg_change: float
    """Against no rules, paired by user, with its 95 % interval."""
    ndcg_low: float
    ndcg_high: float
    diversity: float
    """Mean Jaccard distance of genres within a slate."""
    fresh: float
    """Fresh items per slate."""
    coverage: float
    """Share of the catalog on some slate."""


def settings() -> Iterator[tuple[str, float, SlateConfig]]:
    """Every rule alone, from weak to strong, then all together."""
    off = SlateConfig.off()
    for method in ("mmr", "dpp"):
        for trade_off in (0.99, 0.97, 0.95, 0.9, 0.8, 0.7, 0.5, 0.3):
            rule = replace(SlateConfig().diversity, method=method, trade_off=trade_off)
            yield method, trade_off, replace(off, diversity=rule)
    for share in (0.8, 0.6, 0.5, 0.4, 0.3, 0.2):
        yield "genre_cap", share, replace(off, genre_cap=CapConfig(share=share))
    for wanted in (1, 2, 3):
        yield "freshness", wanted, replace(off, freshness=replace(SlateConfig().freshness, at_least=wanted))
    for rate in (0.1, 0.25, 0.5, 1.0):
        yield "exploration", rate, replace(off, exploration=replace(SlateConfig().exploration, rate=rate))
    yield "default", 0.0, SlateConfig()


def curve(ranked: Sequence[Ranked], items: ItemTable, progress: Callable[[int, int], None]) -> list[Point]:
    """Every setting over the same lists; the first point is that of no rules."""
    plain = _slates(ranked, items, SlateConfig.off())
    every = list(settings())
    points = [_point("off", 0.0, ranked, items, plain, plain)]
    for done, (rule, strength, config) in enumerate(every, 1):
        points.append(_point(rule, strength, ranked, items, _slates(ranked, items, config), plain))
        progress(done, len(every))
    return points


def _slates(ranked: Sequence[Ranked], items: ItemTable, config: SlateConfig) -> list[NDArray[np.uint64]]:
    return [
        compose(one.ids, one.scores, SHOWN, items, config, seed=seed, now_days=one.at_days).ids
        for seed, one in enumerate(ranked)
    ]


def _point(
    rule: str,
    strength: float,
    ranked: Sequence[Ranked],
    items: ItemTable,
    slates: Sequence[NDArray[np.uint64]],
    plain: Sequence[NDArray[np.uint64]],
) -> Point:
    ranks, before = _ranks(ranked, slates), _ranks(ranked, plain)
    gap = paired_interval(ndcg(ranks, SHOWN), ndcg(before, SHOWN))
    rows = [items.rows_of(ids) for ids in slates]
    limits = SlateConfig().freshness
    fresh = [
        np.count_nonzero(
            is_fresh(
                Pool(ids, np.zeros(ids.size, np.float32), items), one.at_days, limits.max_age_days, limits.max_events
            )
        )
        for ids, one in zip(slates, ranked, strict=True)
    ]
    return Point(
        rule, strength, float(hit_rate(ranks, SHOWN).mean()), float(ndcg(ranks, SHOWN).mean()), gap.mean, gap.low,
        gap.high, float(np.mean([diversity(items.genre_hot[of[of >= 0]]) for of in rows])), float(np.mean(fresh)),
        np.unique(np.concatenate(slates)).size / len(items),
    )  # fmt: skip


def _ranks(ranked: Sequence[Ranked], slates: Sequence[NDArray[np.uint64]]) -> NDArray[np.float64]:
    places = [np.flatnonzero(ids == np.uint64(one.target)) for one, ids in zip(ranked, slates, strict=True)]
    return np.array([place[0] + 1 if place.size else np.inf for place in places], np.float64)


def shortlists(champions: Champions, progress: Callable[[int, int], None]) -> list[Ranked]:
    """The champion's best SHORTLIST for every moment."""
    return [
        Ranked(ids, scores, moment.target, moment.at_ms / 86_400_000)
        for moment, ids, scores in champions.ranked(SHORTLIST, progress)
    ]


def table(points: Sequence[Point]) -> Table:
    """For a person."""
    plain = points[0]
    made = Table(title=f"Slates of {SHOWN}: without rules NDCG@10 {plain.ndcg:.4f}, HR@10 {plain.hr:.4f}")
    for heading in ("rule", "at", "change of NDCG, 95 %", "diverse", "fresh", "cover"):
        made.add_column(heading, justify="left" if heading == "rule" else "right", no_wrap=True)
    for point in points:
        made.add_row(
            point.rule.replace("_", " "), f"{point.strength:g}" if point.strength else "",
            f"{point.ndcg_change:+.4f} [{point.ndcg_low:+.4f}, {point.ndcg_high:+.4f}]",
            f"{point.diversity:.3f}", f"{point.fresh:.2f}", f"{point.coverage:.3f}",
        )  # fmt: skip
    return made


def draw(points: Sequence[Point], path: Path) -> None:
    """NDCG lost against diversity gained, a line for each rule that trades one for the other."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    plain = points[0]
    for rule, colour, mark in (("mmr", "#1b9e77", "o"), ("dpp", "#7570b3", "s"), ("genre_cap", "#d95f02", "^")):
        mine = [plain, *sorted((one for one in points if one.rule == rule), key=lambda one: one.diversity)]
        gained = [one.diversity - plain.diversity for one in mine]
        lost = [one.ndcg_change for one in mine]
        reach = [[one.ndcg_change - one.ndcg_low for one in mine], [one.ndcg_high - one.ndcg_change for one in mine]]
        axes.errorbar(gained, lost, reach, color=colour, marker=mark, markersize=4, capsize=2, label=RULES[rule])
        for one, x, y in zip(mine[1:], gained[1:], lost[1:], strict=True):
            axes.annotate(f"{one.strength:g}", (x, y), textcoords="offset points", xytext=(4, 4), fontsize=7)
    default = points[-1]
    axes.plot(
        default.diversity - plain.diversity,
        default.ndcg_change,
        "*",
        color="#333333",
        markersize=11,
        label=RULES["default"],
    )
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.set_xlabel("diversity gained: mean Jaccard distance of genres within a slate")
    axes.set_ylabel("change of NDCG@10, 95 % interval")
    plainly = f"without rules NDCG@10 {plain.ndcg:.4f}, diversity {plain.diversity:.3f}"
    axes.set_title(f"What diversity costs, slates of {SHOWN} ({plainly})")
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path(".data"), help="a folder with published models")
    parser.add_argument("--seed", type=int, default=0, help="of the sample of users")
    parser.add_argument("--out", type=Path, default=None, help="where table and picture go; DATA_DIR/bench by default")
    options = parser.parse_args()
    steps, out = Steps(Console()), options.out or options.data_dir / "bench"
    try:
        champions = Champions.of(Registry.open(options.data_dir), options.data_dir / "lake", options.seed)
        with steps.step(f"ranked lists of {len(champions.moments):,} users") as advance:
            ranked = shortlists(champions, advance)
        with steps.step("slates by every rule") as advance:
            points = curve(ranked, champions.items, advance)
    except CascadeError as error:
        steps.console.print(f"[red]{error.sentence}")
        sys.exit(2)
    steps.console.print(table(points))
    out.mkdir(parents=True, exist_ok=True)
    draw(points, out / "slate-cost.png")
    (out / "slate-cost.json").write_text(json.dumps([asdict(point) for point in points], indent=2))
    steps.console.print(f"Written to {out / 'slate-cost.png'} and {out / 'slate-cost.json'}")


if __name__ == "__main__":
    main()
