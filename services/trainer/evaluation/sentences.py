"""What the figures say, in words. Each sentence is made from the numbers; none knows the result beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models.metrics import Interval
from services.trainer.evaluation.figures import Bands, Figures, Stage
from services.trainer.evaluation.labels import asks_for_likes, label_of, scorer_label, source_label
from services.trainer.evaluation.rated import Rated

BAR = "two_stage"
"""The peer that a funnel has to beat."""
NARROW = "\N{NO-BREAK SPACE}"
"""Between a number and its sign."""
CALIBRATED = 0.01
"""ECE up to which we call probabilities honest: a hundredth off on average."""


def about_models(figures: Figures) -> str:
    """Who leads under P1, and whether the lead is more than chance."""
    best = figures.models[-1]
    found = best.metrics["hr@10"]
    said = [
        f"{best.label} has the highest NDCG@10, and the next item among its first ten for {_percent(found)} of the "
        f"users (95 % interval {_percent_range(found)})."
    ]
    if figures.ours and BAR in figures.differences:
        said.append(_against(figures, BAR))
    spread = [model for model in figures.models if len(model.seeds) > 1]
    if spread:
        widest = max(spread, key=lambda model: max(model.by_seed["hr@10"]) - min(model.by_seed["hr@10"]))
        low, high = min(widest.by_seed["hr@10"]), max(widest.by_seed["hr@10"])
        said.append(f"Between seeds HR@10 moves most for {widest.label}: from {low:.4f} to {high:.4f}.")
    return " ".join(said)


def about_differences(figures: Figures) -> str:
    """How many peers ours beats, loses to, and cannot be told from."""
    by_outcome: dict[str, list[str]] = {"ahead of": [], "behind": [], "not to be told from": []}
    for name, gains in figures.differences.items():
        by_outcome[_outcome(gains["ndcg@10"])].append(label_of(name))
    told = "; ".join(f"{outcome} {listed(names)}" for outcome, names in by_outcome.items() if names)
    return f"By NDCG@10 {label_of(figures.ours)} is {told}. An interval that crosses the line leaves the question open."


def about_stages(stages: Sequence[Stage]) -> str:
    """What the sources find, what merging adds, and what ranking does with it."""
    sources = [stage for stage in stages if stage.part == "source"]
    merged = [stage for stage in stages if stage.part == "merged"]
    best, deepest, first = max(sources, key=lambda stage: stage.recall.mean), merged[-1], merged[0]
    said = [
        f"Of the sources {source_label(best.name)} finds most alone: {_percent(best.recall)} of the targets. Merged, "
        f"the first {deepest.depth} candidates hold {_percent(deepest.recall)}, which no ranker can exceed."
    ]
    needed = max(sources, key=lambda stage: stage.alone)
    if needed.alone > 0:
        share = f"{100 * needed.alone:.1f}{NARROW}%"
        said.append(
            f"Most would be missed without {source_label(needed.name)}: {share} of the targets are on its list only."
        )
    for part in dict.fromkeys(stage.part for stage in stages if stage.part not in ("source", "merged")):
        after = next(stage for stage in stages if stage.part == part and stage.depth == first.depth)
        change = 100 * (after.recall.mean - first.recall.mean)
        verb = "lifts" if change > 0 else "lowers"
        said.append(
            f"{label_of(part)} {verb} what the first {first.depth} hold from {_percent(first.recall)} "
            f"to {_percent(after.recall)}."
        )
    return " ".join(said)


def about_bands(figures: Figures) -> str:
    """Where ours is best and worst, and where it leads the bar."""
    return " ".join(_about_band(figures, found) for found in figures.bands)


def _about_band(figures: Figures, found: Bands) -> str:
    own = [(label, value) for label, value in zip(found.labels, found.ndcg[figures.ours], strict=True) if value]
    best, worst = (choose(own, key=lambda pair: pair[1].mean) for choose in (max, min))
    said = (
        f"By {found.by}, {label_of(figures.ours)} does best at {best[0]} (NDCG@10 {best[1].mean:.3f}) and worst at "
        f"{worst[0]} ({worst[1].mean:.3f})."
    )
    if BAR not in found.ndcg:
        return said
    pairs = zip(found.labels, found.ndcg[figures.ours], found.ndcg[BAR], strict=True)
    ahead = [label for label, mine, theirs in pairs if mine and theirs and mine.mean > theirs.mean]
    where = f"at {listed(ahead)}" if ahead else "nowhere"
    return f"{said} Its mean is above that of {label_of(BAR)} {where}."


def about_lists(figures: Figures) -> str:
    """How wide, how obscure, how varied and how fair ours is among all."""
    if not figures.ours:
        return ""
    mine = figures.model(figures.ours)
    parts = []
    if "coverage" in mine.lists:
        parts.append(f"hold {_percent(mine.lists['coverage'])} of the catalog{_place(figures, 'coverage')}")
    if "novelty" in mine.lists:
        parts.append(f"tell {mine.lists['novelty'].mean:.2f} bits per item{_place(figures, 'novelty')}")
    if "diversity" in mine.lists:
        parts.append(f"have a genre distance of {mine.lists['diversity'].mean:.2f}{_place(figures, 'diversity')}")
    if "gini" in mine.lists:
        parts.append(f"have a Gini index of {mine.lists['gini'].mean:.2f} (0 would show all items alike)")
    return f"The lists of {mine.label} {listed(parts)}."


def about_rated(scorers: Sequence[Rated]) -> str:
    """Who orders best, and whose probabilities are honest."""
    likes = [scorer for scorer in scorers if asks_for_likes(scorer.name)]
    best = max(likes, key=lambda scorer: scorer.metrics["gauc"].mean)
    said = [f"{scorer_label(best.name)} orders each user's own events best: GAUC {_told(best.metrics['gauc'])}."]
    sure = [scorer for scorer in likes if "ece" in scorer.metrics]
    if sure:
        truest = min(sure, key=lambda scorer: scorer.metrics["ece"].mean)
        off = truest.metrics["ece"].mean
        said.append(
            f"The probabilities of {scorer_label(truest.name)} are nearest to what came true: "
            f"{100 * off:.2f} points off on average."
        )
        off_ones = [scorer_label(scorer.name) for scorer in sure if scorer.metrics["ece"].mean > CALIBRATED]
        if off_ones:
            said.append(f"More than a point off: {listed(off_ones)}.")
    return " ".join(said)


def listed(names: Iterable[str]) -> str:
    """a, b and c."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _against(figures: Figures, peer: str) -> str:
    gain = figures.differences[peer]["ndcg@10"]
    outcome = _outcome(gain)
    name, other = label_of(figures.ours), label_of(peer)
    return f"{name} is {outcome} {other}: {gain.mean:+.4f} NDCG@10, 95 % interval {gain.low:+.4f} to {gain.high:+.4f}."


def _outcome(gain: Interval) -> str:
    if gain.low > 0:
        return "ahead of"
    return "behind" if gain.high < 0 else "not to be told from"


def _place(figures: Figures, metric: str) -> str:
    """Where ours stands among all models."""
    mine = figures.model(figures.ours).lists[metric].mean
    values = [model.lists[metric].mean for model in figures.models if metric in model.lists]
    return f" (place {1 + sum(value > mine for value in values)} of {len(values)})"


def _percent(found: Interval) -> str:
    return f"{100 * found.mean:.1f}{NARROW}%"


def _percent_range(found: Interval) -> str:
    return f"{100 * found.low:.1f} to {100 * found.high:.1f}{NARROW}%"


def _told(found: Interval) -> str:
    return f"{found.mean:.4f} (95 % interval {found.low:.4f} to {found.high:.4f})"
