"""One name, one thing: no two classes, and no two files, of one name in different places."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "yaya"


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def twice(places: dict[str, set[str]]) -> set[str]:
    return {name for name, found in places.items() if len(found) > 1}


def test_no_class_name_is_given_twice() -> None:
    """Two in one file are one, for two operating systems."""
    places: dict[str, set[str]] = defaultdict(set)
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].add(path.relative_to(SOURCE).as_posix())
    assert not twice(places)


def test_no_file_name_is_given_twice() -> None:
    """The primer's tables have the same files for each language."""
    places: dict[str, set[str]] = defaultdict(set)
    for path in sources():
        if path.stem != "__init__" and "tables" not in path.parts:
            places[path.stem].add(path.relative_to(SOURCE).as_posix())
    assert not twice(places)
