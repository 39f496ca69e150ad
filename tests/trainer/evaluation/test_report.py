"""The page: whole in itself, readable in both colours, and nothing in it that a data set could smuggle in."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from services.trainer.evaluation import svg
from services.trainer.evaluation.figures import Figures
from services.trainer.evaluation.literature import PUBLISHED
from services.trainer.evaluation.report import page, write_report
from services.trainer.evaluation.summary import summarise
from tests.trainer.evaluation.made_up import ABOUT, figures
from tests.trainer.small_interactions import ring


class _Reader(HTMLParser):
    """Ids, headings and everything that a browser would go and fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.wanted: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        fetching = ("src", "href", "xlink:href", "srcset")
        self.wanted += [value for name, value in attrs if name in fetching and value and not value.startswith("#")]


@cache
def text_of_page() -> str:
    """Drawn once: six pictures take a while."""
    return page(figures())


def test_the_page_fetches_nothing_and_has_every_picture_once() -> None:
    read = _Reader(text_of_page())
    assert read.wanted == []
    assert read.tags.count("svg") == 6
    assert "script" not in read.tags
    assert len(read.ids) == len(set(read.ids))


def test_pictures_take_their_inks_from_the_page() -> None:
    text = text_of_page()
    for colour in (svg.INK, svg.FAINT, svg.PAPER, *svg.SERIES):
        assert colour not in text
    pictures = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "var(--series-0)" in pictures
    assert not re.search(r"(fill|stroke): #[0-9a-f]{6}", pictures)
    light, dark = text.split("prefers-color-scheme: dark")
    for variable in set(re.findall(r"var\((--[\w-]+)\)", pictures)):
        assert f"{variable}:" in light
        assert f"{variable}:" in dark[:700]


def test_a_name_with_markup_is_text() -> None:
    found = replace(figures(), about=replace(ABOUT, dataset="<script>alert(1)</script>"))
    assert "<script" not in page(found)
    assert "&lt;script&gt;" in page(found)


def test_numbers_stand_beside_what_made_them() -> None:
    text = text_of_page()
    assert text.count(ABOUT.command) >= 6
    assert ABOUT.data_snapshot in text
    assert "code abc" in text


def test_quoted_rows_are_only_for_the_data_they_are_of() -> None:
    assert PUBLISHED[0].model in text_of_page()
    assert PUBLISHED[0].model not in page(replace(figures(), about=replace(ABOUT, dataset="ml-100k")))


def test_results_of_several_versions_of_the_code_are_called_so() -> None:
    found = figures()
    mixed = replace(found, models=[replace(found.models[0], revisions=["def"]), *found.models[1:]])
    assert "fitted by 2 versions of the code: abc, def" in page(mixed)
    assert "versions of the code" not in page(found)


def test_an_evaluation_that_has_nothing_yet_says_so() -> None:
    assert "Nothing is measured yet" in page(summarise(ABOUT, [], [], ring(4)))


def test_the_numbers_can_be_read_by_programs(tmp_path: Path) -> None:
    found: Figures = figures()
    assert write_report(found, tmp_path).read_text() == page(found)
    told = json.loads((tmp_path / "evaluation.json").read_text())
    assert told["about"]["data_snapshot"] == ABOUT.data_snapshot
    best = told["models"][-1]
    assert best["metrics"]["hr@10"] == list(found.models[-1].metrics["hr@10"])
    assert told["rated"][1]["reliability"] == [[0.2, 0.8], [0.1, 0.9], [5, 5]]
