"""Importing Locust patches sockets and threads of the whole process; only the locustfile may do that."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHING = {"locust", "gevent", "geventhttpclient"}


def imported(path: Path) -> set[str]:
    """First names of what a module imports anywhere in it."""
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_no_module_but_the_locustfile_imports_locust_or_is_imported_with_it() -> None:
    modules = [path for package in ("services", "models", "loadtests") for path in (ROOT / package).rglob("*.py")]
    patching = [path.relative_to(ROOT).as_posix() for path in modules if PATCHING & imported(path)]
    assert patching == ["loadtests/locustfile.py"]
    assert [path for path in modules if "loadtests.locustfile" in path.read_text()] == []
