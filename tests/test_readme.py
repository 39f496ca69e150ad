"""The README's tree and links are those of the repository."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PACKAGES = ("services", "models", "feature_repo", "loadtests")
LEFT_OUT = {"__init__.py", "__main__.py"}


def told_files() -> set[str]:
    """The files of the tree, with their folders."""
    tree = README.split("## The tree", 1)[1].split("```", 2)[1]
    folder, told = "", set()
    for line in tree.strip().splitlines():
        name = line.split()[0]
        if line.startswith("  "):
            told.add(folder + name)
        else:
            folder = name
    return told


def test_every_module_has_its_phrase_in_the_tree() -> None:
    modules = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name not in LEFT_OUT and "pb" not in path.relative_to(ROOT).parts
    }
    assert told_files() - {"services/__main__.py"} == modules


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []


def test_every_service_has_a_page_of_its_own() -> None:
    doors = [path.parent for path in (ROOT / "services").glob("*/service.py")]
    assert len(doors) >= 5
    assert [door.name for door in doors if not (door / "README.md").is_file()] == []
