"""The tables of the report, each from recorded rounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from loadtests.simulation import freshness
from loadtests.simulation.freshness import Freshness
from loadtests.simulation.recording import Learning, Round
from loadtests.simulation.settings import POSITION, REFERENCES
from loadtests.simulation.statistics import Estimate, Results


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    remarks: Sequence[str] = ()
    """Sentences below, too long for a cell."""

    def markdown(self) -> str:
        """As a section of the report."""
        lines = [f"### {self.title}", "", *([self.note, ""] if self.note else [])]
        lines += ["| " + " | ".join(self.headings) + " |", "|" + "|".join("---" for _ in self.headings) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join([*lines, "", *(f"- {remark}" for remark in self.remarks), *([""] if self.remarks else [])])


def tables(results: Results) -> Iterator[Table]:
    """Every table that there is something for, click model by click model."""
    for clicks, arms in results.played.items():
        yield clicks_table(results, clicks)
        for base, others in (("frozen", ("retrained", "feature", "weights")), ("retrained", ("feature", "weights"))):
            if table := difference_table(results, clicks, base, [arm for arm in others if arm in arms]):
                yield table
        if any(arm in POSITION for arm in arms):
            yield learning_table(results, clicks)
        yield shape_table(results, clicks)
        yield account_table(results, clicks)


def clicks_table(results: Results, clicks: str) -> Table:
    """Expected clicks per page by round and arm, with what the arm's users could have had."""
    arms = results.played[clicks]
    rows = []
    for arm, seeds in arms.items():
        found = results.clicks_by_round(clicks, arm)
        possible = np.mean([page.possible for rounds in seeds.values() for told in rounds for page in told.pages])
        rows.append([arm, str(len(seeds)), *(f"{value:.3f}" for value in found), f"{found.mean() / possible:.2f}"])
    return Table(
        f"{clicks}: expected clicks per page",
        ["arm", "seeds", *_rounds(results, clicks), "of possible"],
        rows,
        "Noise-free. Items shown leave a user's pool, so pages get poorer by the round: compare arms within a round. "
        "The last column is the share of what the best pages from the same pools would have got. "
        f"{', '.join(REFERENCES)} are policies without the stack, which never learn.",
    )


def difference_table(results: Results, clicks: str, base: str, others: Sequence[str]) -> Table | None:
    """Arms against one arm, by round; None without anything to compare."""
    rows = [[arm, *map(told, found)] for arm in others if (found := results.difference(clicks, arm, base))]
    if not rows:
        return None
    return Table(
        f"{clicks}: difference to {base}",
        ["arm", *_rounds(results, clicks)],
        rows,
        f"Expected clicks per page minus those of {base}, paired by user and seed, with the 95 % interval over seeds "
        "(over users where only one seed was played); bold where it leaves 0 out. In round 1 nobody has learned yet.",
    )


def told(found: Estimate) -> str:
    """+.012 [+.003, +.021]"""
    text = f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    return f"**{text}**" if found.is_clear else text


def learning_table(results: Results, clicks: str) -> Table:
    """What the runs between the rounds came to."""
    rows, remarks = [], list[str]()
    for arm in POSITION:
        runs = [run for told in _all_rounds(results, clicks, arm) if (run := told.learning)]
        if runs:
            outcomes = Counter(run.outcome for run in runs)
            served = [run.click_to_served for run in runs if run.click_to_served is not None]
            rows.append([
                arm, *(str(outcomes[name]) for name in ("published", "refused", "nothing", "failed")),
                _quantiles([run.seconds for run in runs]), _quantiles(served),
            ])  # fmt: skip
            remarks += [f"{arm}, {reason}" for reason in _reasons(runs)]
    return Table(
        f"{clicks}: retraining between rounds",
        ["arm", "published", "refused", "nothing", "failed", "run s p50 / max", "to served s p50 / max"],
        rows,
        "A refused run leaves the champion where it is; the arm goes on with the models it had. `nothing`: there was "
        "nothing to learn. `to served`: from the round's last click to the moment the new models served.",
        remarks,
    )


def shape_table(results: Results, clicks: str) -> Table:
    """What pages are made of, in the first and in the last round."""
    rows = []
    for arm, seeds in results.played[clicks].items():
        ends = [[rounds[place] for rounds in seeds.values()] for place in (0, -1)]
        cells = [
            f"{np.mean([getattr(told, name) for told in end]):.3f}"
            for name in ("coverage", "diversity", "novelty")
            for end in ends
        ]
        rows.append([arm, *cells])
    headings = [f"{name}, {end}" for name in ("coverage", "diversity", "novelty") for end in ("first", "last")]
    return Table(
        f"{clicks}: what pages are made of, in the first and the last round",
        ["arm", *headings],
        rows,
        "Coverage: share of the catalog shown to anybody. Diversity: 1 - mean Jaccard similarity of the genres of two "
        "items of a page. Novelty: mean -log2 of an item's share of what the system knew at the start.",
    )


def account_table(results: Results, clicks: str) -> Table:
    """Whether the stack answered as it should, so that the figures above mean what they say."""
    rows = []
    for arm in results.played[clicks]:
        rounds = _all_rounds(results, clicks, arm)
        pages = [page for told in rounds for page in told.pages]
        by = Counter(page.served_by for page in pages)
        flushes = [told.flush_seconds for told in rounds if told.flush_seconds is not None]
        rows.append([
            arm, str(len(pages)), str(sum(page.clicks for page in pages)), str(sum(page.likes for page in pages)),
            str(by["cache"] + by["fallback"]), str(by["failed"]), str(sum(page.repeated for page in pages)),
            str(sum(page.explored for page in pages)), str(sum(told.missing for told in rounds)), _quantiles(flushes),
        ])  # fmt: skip
    return Table(
        f"{clicks}: account",
        ["arm", "pages", "clicks", "likes", "stale", "failed", "again", "explored", "lost", "to lake s p50 / max"],
        rows,
        "stale: from a cache or a fallback. again: items shown once more. lost: pages and events that never "
        "reached the lake.",
    )


def freshness_table(found: Freshness) -> Iterator[Table]:
    """How soon the loop closed, where that was measured."""
    rows = [
        [what, freshness.told(seconds)]
        for what, seconds in (
            ("event to feature", found.event_to_feature), ("event to an answer ranked with it", found.event_to_ranking)
        )
        if seconds
    ]  # fmt: skip
    for what, moment in (
        ("first click to the first page by a model that learned from it", found.click_to_challenger),
        ("first click to that model serving everybody", found.click_to_champion),
    ):
        if moment is not None:
            rows.append([what, f"{moment / 60:.1f} min"])
    if rows:
        note = "One stack; the last two with the trainer on its own schedule and its rollout, while people ask."
        yield Table("freshness: how soon the loop closes", ["from ... to", "took"], rows, note)


def _rounds(results: Results, clicks: str) -> list[str]:
    longest = max(len(rounds) for seeds in results.played[clicks].values() for rounds in seeds.values())
    return [f"round {turn}" for turn in range(1, longest + 1)]


def _all_rounds(results: Results, clicks: str, arm: str) -> list[Round]:
    return [told for rounds in results.played[clicks].get(arm, {}).values() for told in rounds]


def _quantiles(values: Sequence[float]) -> str:
    return f"{np.median(values):.1f} / {max(values):.1f}" if values else "-"


def _reasons(runs: Sequence[Learning]) -> list[str]:
    said = Counter(run.said for run in runs if run.said)
    return [f"{times} ×: {text}" for text, times in said.most_common(3)]
