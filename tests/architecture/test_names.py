"""One name, one thing: no two classes, and no two files, of one name in different places."""

from __future__ import annotations

import ast
import re
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


def test_decisions_name_what_is_there() -> None:
    """Files, and names inside of a class or a module: `RunFolder.training_of`."""
    root = SOURCE.parents[1]
    text = (root / "docs/decisions.md").read_text("utf-8")
    files = [f"/{path.relative_to(root).as_posix()}" for path in root.glob("*/**/*.py")]
    code = {path: path.read_text("utf-8") for path in sources()}
    gone = []
    for name in set(re.findall(r"`([\w./]+)(?:\([\w, ]*\))?`", text)):
        if name.endswith(".py"):
            gone += [name] if not any(file.endswith(f"/{name}") for file in files) else []
        elif found := re.fullmatch(r"([A-Z]\w*)\.(\w+)", name):
            places = [content for content in code.values() if re.search(rf"\bclass {found[1]}\b", content)]
            gone += [name] if not any(re.search(rf"\b{found[2]}\b", content) for content in places) else []
    assert not gone
